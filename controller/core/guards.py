"""Whether a restore may go on now: every rule that stands between a decision and the branch, in one place.

Invariant: in doubt nothing is pushed. A rule either says that it is done already, lets it go by push or by pull
request, makes it wait for something named, withdraws it, or refuses it with the step that a person must take.
"""

from controller.core.application import Content
from controller.core.brakes import needless, waits
from controller.core.events import World
from controller.core.git import RestoreFacts
from controller.core.never_pushed import reasons_not_to_push
from controller.core.rollback import Rollback, Way
from controller.core.rulings import AlreadyDone, Proceed, Refuse, Retarget, Ruling, Withdraw
from controller.core.state import Rollout


def rule(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World, now: float) -> Ruling:
    """Decide what becomes of a restore, given fresh facts. ``now`` is Unix seconds."""
    found = _done(facts)
    if found is not None:
        return found
    if rollback.withdrawing:
        return Withdraw(rollback.withdrawing)
    found = _possible(rollout, rollback, facts)
    if found is None and rollback.automatic:
        found = needless(rollout, rollback) or waits(rollout, rollback, facts, world, now)
    return found or _taken_out(rollback, facts) or _way(rollout, rollback, facts, world)


def _done(facts: RestoreFacts) -> Ruling | None:
    if facts.ours_in_branch:
        return AlreadyDone("the branch already contains the restore")
    undone = facts.live_content not in (facts.head_content, facts.target_content)
    if facts.already_restored and undone:
        return AlreadyDone("the branch already holds the restored manifests")
    return None


def _possible(rollout: Rollout, rollback: Rollback, facts: RestoreFacts) -> Ruling | None:
    """What makes a restore impossible, or needless, whoever wants it."""
    request, name = facts.request, rollout.application.key.name
    if not facts.target_known:
        return Refuse(
            f"{request.target[:12]}, the version to go back to, is not in the repository any more",
            f"restore the manifests of {name} by hand, and push them to {request.branch}",
        )
    if facts.live_known and not rollback.automatic and facts.live_content == facts.target_content:
        return _same_already(facts)
    if facts.went_back:
        return _went_back(rollback, facts)
    if not facts.live_in_branch and facts.head_content != _deployed(rollout, rollback, facts):
        return Withdraw(
            f"{request.live[:12]} is no longer in {request.branch}, and the paths there hold something else"
        )
    if not facts.live_known:
        return None
    return _without_suspects(facts) or _own(rollout, rollback, facts)


def _went_back(rollback: Rollback, facts: RestoreFacts) -> Ruling:
    older, newer = facts.request.live[:12], facts.request.target[:12]
    if rollback.automatic:
        return Withdraw(f"{older} is older than {newer}: somebody went back already", went_back=True)
    return Refuse(
        f"{newer} is newer than what is deployed, {older}", f"deploy {newer} as usual; a rollback only goes back"
    )


def _deployed(rollout: Rollout, rollback: Rollback, facts: RestoreFacts) -> Content:
    """What is to be undone deploys; the repository may have lost the revision."""
    if not facts.live_known and rollout.live is not None and rollout.live.revision == rollback.live:
        return rollout.live.content
    return facts.live_content


def _same_already(facts: RestoreFacts) -> Ruling:
    if facts.head_content == facts.target_content:
        return Withdraw(f"{facts.request.target[:12]} is what is deployed, and what {facts.request.branch} holds")
    return Retarget(
        facts.head, f"{facts.request.branch} holds another version than what is deployed: undoing that one"
    )


def _without_suspects(facts: RestoreFacts) -> Ruling | None:
    same = facts.target_content == facts.live_content
    if not facts.suspects and (same or facts.target_before_live):
        return Refuse(
            "no commit between the last good and the deployed revision touches the application's paths",
            "look for what else changed: a chart or image outside the repository, configuration, a dependency",
        )
    idle = facts.already_restored and facts.head_content == facts.live_content and not facts.changed_files
    if idle:
        return Refuse(
            "restoring would change nothing in Git: only files that stay as they are have changed",
            "look for what else changed: Rollguard's own policies, configuration, a dependency",
        )
    return None


def _own(rollout: Rollout, rollback: Rollback, facts: RestoreFacts) -> Ruling | None:
    """No cascade: what Rollguard itself has restored is not undone without a person."""
    ours = [commit for commit in facts.suspects if commit.revision in rollout.own_restores]
    if not ours or not rollback.automatic:
        return None
    return Refuse(
        f"what would be undone is Rollguard's own restore {ours[0].revision[:12]}",
        "the last good version does not mend the service: look for another cause",
        cascade=True,
    )


def _taken_out(rollback: Rollback, facts: RestoreFacts) -> Refuse | None:
    """One rollback per chain: a restore that somebody took out of the branch again is not repeated."""
    by = rollback.restored_by
    if not rollback.was_restored or by is None:
        return None
    return Refuse(
        f"somebody took the restore {by[:12]} out of {facts.request.branch} again",
        f"if that was not meant: git cherry-pick {by} and push, or fix forward",
    )


def _way(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World) -> Ruling:
    if facts.tree is None:
        if facts.plain_tree is None or not facts.live_known:
            return Refuse(
                "the restored tree cannot be made: " + (", ".join(facts.conflicts[:5]) or "a revision is missing"),
                f"git checkout {rollback.target} -- {' '.join(rollout.application.source.paths)}, commit and push",
            )
        where = f" in {', '.join(facts.conflicts[:5])}" if facts.conflicts else ""
        return Proceed(Way.PULL_REQUEST, f"later changes conflict with the restore{where}", conflicting=True)
    if rollback.way is Way.PULL_REQUEST:
        return Proceed(Way.PULL_REQUEST, rollback.why_not_push)
    why = next(iter(reasons_not_to_push(rollout, rollback, facts, world)), "")
    return Proceed(Way.PULL_REQUEST if why else Way.PUSH, why)
