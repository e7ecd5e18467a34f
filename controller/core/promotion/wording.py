"""What commits and pull requests of promotions say.

Invariant: the message depends on what is persisted alone, so that building a commit again gives the same commit. Text from
outside is one line, cut, and escaped where a forge would render it.
"""

import re

from controller.core.markdown import block, code, plain, prose, table
from controller.core.promotion.edits import FileEdit
from controller.core.promotion.facts import PlaceFacts
from controller.core.promotion.move import Move
from controller.core.promotion.progress import Passage, Place
from controller.core.revert import one_line

PIPELINE, VERSION, SOURCE = "Rollguard-Pipeline", "Rollguard-Version", "Rollguard-Source"
STAGE, STEP = "Rollguard-Stage", "Rollguard-Step"
APPROVED_BY, BYPASSED_BY = "Rollguard-Approved-By", "Rollguard-Bypassed-By"
_LONGEST_DIFF = 20_000


def title(move: Move, passage: Passage) -> str:
    """The commit's and the pull request's first line."""
    count = move.stage(passage.place).step_count
    step = f" (step {passage.step + 1} of {count})" if count > 1 else ""
    return one_line(f"Promote {move.pipeline.key.name} {passage.version.name} to {passage.place}{step}", 100)


def commit_message(move: Move, passage: Passage) -> str:
    """The whole message of a commit."""
    before = f"{one_line(passage.previous, 60)} was there before. " if passage.previous else ""
    asked = f"{one_line(passage.requested_by, 60)} asked for it. " if passage.requested_by else ""
    story = f"{before}{asked}It comes from {one_line(passage.version.source_text, 300)}."
    return f"{title(move, passage)}\n\n{story}\n\n{trailers(move, passage)}\n"


def trailers(move: Move, passage: Passage) -> str:
    """What programs read; they never decide anything by it."""
    version, count = passage.version, move.stage(passage.place).step_count
    lines = [
        (PIPELINE, str(move.pipeline.key)),
        (STAGE, str(passage.place)),
        (VERSION, version.name),
        (SOURCE, version.source_text),
        *([(STEP, f"{passage.step + 1}/{count}")] if count > 1 else []),
        *((APPROVED_BY, user) for user in passage.approved_by),
        *([(BYPASSED_BY, f"{passage.bypassed_by}: {passage.bypass_reason}")] if passage.bypassed_by else []),
    ]
    return "\n".join(f"{name}: {one_line(value, 300)}" for name, value in lines)


def merge_message(move: Move, passage: Passage) -> str:
    """The body of a merge: the approvals are known only then."""
    return f"It comes from {one_line(passage.version.source_text, 300)}.\n\n{trailers(move, passage)}"


def pull_branch(move: Move, passage: Passage) -> str:
    """The branch that proposes a version: one for each place, whatever the version."""
    return own_branch("promote", move, passage.place)


def own_branch(what: str, move: Move, place: Place) -> str:
    """A branch of Rollguard's own for a place."""
    parts = (move.pipeline.key.namespace, move.pipeline.key.name, place.stage, place.target)
    return f"rollguard/{what}-" + "-".join(
        re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-") for part in parts if part
    )


def pull_body(move: Move, passage: Passage, edits: tuple[FileEdit, ...], facts: PlaceFacts) -> str:
    """What a pull request says: what changes, how the version did in the stage before, and what it waits for."""
    version = passage.version
    was = facts.values or (None,) * len(edits)
    rows = [
        (code(each.file), code(each.name), code(now or "–"), code(each.text))
        for each, now in zip(edits, was, strict=False)
    ]
    parts = [
        f"**{plain(version.name)}** for **{plain(str(passage.place))}**, from {code(version.source_text)}.",
        table(("file", "field", "now", "then"), rows),
        _before(move, passage),
        _waits(move, passage),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def with_diff(body: str, diff: str) -> str:
    """A pull request's body with what its commit changes."""
    return f"{body}\nWhat changes:\n\n{block(diff, 'diff', _LONGEST_DIFF)}\n" if diff else body


def _before(move: Move, passage: Passage) -> str:
    before = move.stage_before(move.stage(passage.place))
    done = move.progress.stage_passed(before.name, passage.version.identity) if before is not None else None
    if before is None or done is None:
        return f"{plain(passage.requested_by)} asked for it." if passage.requested_by else ""
    said = [
        prose(member.standing.sentence)
        for place, facts in move.facts.places.items()
        for member in facts.members
        if place.stage == before.name and member.standing.sentence
    ]
    return "\n".join([f"It passed **{plain(before.name)}**.", *(f"> {each}" for each in said)])


def _waits(move: Move, passage: Passage) -> str:
    stage = move.stage(passage.place)
    said = []
    if stage.approvals is not None:
        whom = f" of {', '.join(code(each) for each in stage.approvals.from_)}" if stage.approvals.from_ else ""
        not_author = "; who wrote it does not count" if stage.approvals.not_author else ""
        said.append(f"needs {stage.approvals.minimum} approvals{whom}{not_author}")
    if stage.merge_when is not None:
        said.append("its checks must pass")
    if not said:
        return "Merge it to let it go on."
    return f"Rollguard merges it: it {' and '.join(said)}."
