"""What the pull request of a restore says.

Invariant: it depends on the persisted state alone, so that opening it again changes nothing. What others wrote (subjects,
notes, file names, the server's words) is escaped: it pings nobody, links nowhere and gives no command.
"""

from controller.core.application import Revision
from controller.core.forge import PullRequestDraft
from controller.core.forge_links import ForgeLinks
from controller.core.markdown import code, link, plain, prose, table
from controller.core.revert import (
    MOST_SUSPECTS_NAMED,
    before_text,
    ended,
    measured_text,
    subject,
    target_text,
)
from controller.core.rollback import Origin, Rollback
from controller.core.state import Rollout

LABEL = "rollguard"


def pull_request_draft(rollout: Rollout, rollback: Rollback) -> PullRequestDraft:
    """The pull request of a restore that is on a branch of ours."""
    return PullRequestDraft(
        head_branch=rollback.branch,
        base=rollout.application.source.branch,
        title=title(rollout, rollback),
        body=body(rollout, rollback),
        labels=frozenset({LABEL}),
    )


def title(rollout: Rollout, rollback: Rollback) -> str:
    """The commit's subject; what a person gave as the reason pings nobody."""
    begin, colon, why = subject(rollout, rollback).partition(": ")
    return rollback.subject_prefix + begin + colon + plain(why)


def body(rollout: Rollout, rollback: Rollback) -> str:
    """What was deployed and measured, what it restores, why it was not pushed, and what follows."""
    base = rollout.application.source.branch
    parts = [
        f"{_commit(rollback.forge, rollback.live)} was deployed to **{prose(str(rollout.application.key))}**. "
        + _cause(rollback),
        _figures(rollout, rollback),
        _restores(rollout, rollback),
        f"It was not pushed to {code(base)}: {prose(rollback.why_not_push)}." if rollback.why_not_push else "",
        _suspects(rollback),
        _answers(rollout),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def closing_comment(why: str) -> str:
    """What is said where it is closed."""
    return f"Closed by Rollguard: {prose(ended(why))} The branch stays."


def _cause(rollback: Rollback) -> str:
    note, by = prose(ended(rollback.note)), prose(rollback.by)
    judged = rollback.judgement.sentence if rollback.judgement is not None else ""
    return {
        Origin.VERDICT: prose(ended(judged)),
        Origin.UNHEALTHY: f"It never became healthy: {note}" if note else "It never became healthy.",
        Origin.QUARANTINE: "It brings back what was rolled back before.",
        Origin.PERSON: f"{by} asked for the rollback: {note}" if note else f"{by} asked for the rollback.",
    }[rollback.origin]


def _figures(rollout: Rollout, rollback: Rollback) -> str:
    if rollback.judgement is None or rollback.origin is not Origin.VERDICT:
        return ""
    rows = [
        (
            code(each.objective),
            prose(target_text(rollout, each.objective)),
            prose(measured_text(each)),
            prose(before_text(each)),
        )
        for each in rollback.judgement.objectives
    ]
    return table(("objective", "target", "measured", "before"), rows)


def _restores(rollout: Rollout, rollback: Rollback) -> str:
    paths = ", ".join(code(path) if path else "the whole repository" for path in rollout.application.source.paths)
    said = f"It restores {paths} as at {_commit(rollback.forge, rollback.target)}; later changes elsewhere stay."
    if rollback.forge is None:
        return said
    return f"{said} {link('What is undone', rollback.forge.compare(rollback.target, rollback.live))}"


def _suspects(rollback: Rollback) -> str:
    named = [
        f"- {_commit(rollback.forge, each.revision)} {prose(each.subject, 100)}"
        for each in rollback.suspects[:MOST_SUSPECTS_NAMED]
    ]
    left = len(rollback.suspects) - len(named)
    more = [f"- and {left} more"] if left > 0 else []
    return "\n".join(["Suspects:", "", *named, *more]) if named else ""


def _answers(rollout: Rollout) -> str:
    analysis = rollout.analysis
    why = f"\n\nWhy it was decided: {code(f'rollguard explain {analysis.id}')}" if analysis is not None else ""
    return (
        "Merge it (squashed too), and whether the service recovers is watched. Close it if it is not wanted: none is "
        f"opened again for this decision. Rollguard closes it itself once it is not needed any more.{why}"
    )


def _commit(links: ForgeLinks | None, revision: Revision) -> str:
    name = code(revision[:12])
    return f"[{name}](<{links.commit(revision)}>)" if links is not None else name
