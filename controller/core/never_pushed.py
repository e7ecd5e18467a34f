"""What is never pushed, only offered: restores that a person must look at first.

Invariant: what cannot be told counts against a push.
"""

from fnmatch import fnmatchcase

from controller.core.events import CompanionFacts, World
from controller.core.git import RestoreFacts
from controller.core.policy import Mode, PolicySpec
from controller.core.revert import HOLD, one_line
from controller.core.rollback import Rollback
from controller.core.state import Rollout

NEVER_REMOVED = frozenset(
    {
        "PersistentVolumeClaim",
        "PersistentVolume",
        "Namespace",
        "CustomResourceDefinition",
        "StatefulSet",
        "Application",
        "ApplicationSet",
    }
)
NEVER_TOUCHED = frozenset(
    {"Secret", "SealedSecret", "ExternalSecret", "ClusterExternalSecret", "CustomResourceDefinition"}
)
MANY_FILES = 5_000
"""A list of files of this length was cut."""


def policy_of(rollout: Rollout) -> PolicySpec | None:
    """The policy that a restore follows: the chain's frozen one."""
    return rollout.analysis.policy if rollout.analysis is not None else rollout.policy


def reasons_not_to_push(rollout: Rollout, rollback: Rollback, facts: RestoreFacts, world: World) -> list[str]:
    """Every reason why the restore must be looked at by a person first; empty: it may be pushed."""
    policy = policy_of(rollout)
    return [
        *_history_reasons(facts),
        *_object_reasons(facts, policy),
        *_path_reasons(facts, policy),
        *_content_reasons(rollout, rollback, facts),
        *_shared_reasons(policy, world),
        *_companions_reasons(rollback, facts, world),
    ]


def _history_reasons(facts: RestoreFacts) -> list[str]:
    found = []
    if not facts.target_before_live:
        found.append("the version to go back to is no ancestor of the deployed one: the branch was force-pushed")
    if not facts.live_in_branch:
        found.append("the deployed revision is not in the branch any more")
    held = [
        (commit, value) for commit in facts.suspects for key, value in commit.trailers if key.lower() == HOLD.lower()
    ]
    if held:
        found.append(f"{held[0][0].revision[:12]} is held by its author: {one_line(held[0][1], 80)}")
    if facts.protected_restores:
        found.append(f"{facts.protected_restores[0].revision[:12]} says that it is itself a restore")
    return found


def _object_reasons(facts: RestoreFacts, policy: PolicySpec | None) -> list[str]:
    declared = frozenset(policy.protect.kinds) if policy is not None else frozenset()
    found = [
        f"it would remove {each.kind} {one_line(each.name)}"
        for each in facts.removes
        if each.kind in NEVER_REMOVED or each.kind in declared
    ]
    found.extend(
        f"it changes {'the hook ' if each.hook else ''}{each.kind} {one_line(each.name)}"
        for each in facts.touches
        if each.hook or each.kind in NEVER_TOUCHED or each.kind in declared
    )
    if facts.unreadable:
        found.append(f"what {one_line(facts.unreadable[0])} declares cannot be read")
    return found


def _path_reasons(facts: RestoreFacts, policy: PolicySpec | None) -> list[str]:
    """Protected is what the restore would change, and what a suspect changed beside it: a migration may have run."""
    globs = policy.protect.paths if policy is not None else ()
    if not globs:
        return []
    for files, who in ((facts.changed_files, "it"), *((each.files, each.revision[:12]) for each in facts.suspects)):
        matched = next((file for file in files for glob in globs if _matches(file, glob)), None)
        if matched is not None:
            return [f"{who} changes {one_line(matched)}, which the policy protects"]
        if len(files) >= MANY_FILES:
            return [f"{who} changes so many files that protected ones may be among them"]
    return []


def _content_reasons(rollout: Rollout, rollback: Rollback, facts: RestoreFacts) -> list[str]:
    before = dict(facts.head_content.objects)
    after = facts.restored_content.objects if facts.restored_content is not None else ()
    found = [
        f"{path or 'the repository'} would be left empty"
        for path, object_id in after
        if not object_id and before.get(path, "unknown")
    ]
    if rollback.automatic and facts.restored_content is not None and rollout.knows_bad(facts.restored_content):
        found.append("the version to go back to was itself rolled back before")
    return found


def _shared_reasons(policy: PolicySpec | None, world: World) -> list[str]:
    if not world.readers:
        return []
    names = ", ".join(str(reader.application) for reader in world.readers[:5])
    shared = policy.shared_paths if policy is not None else None
    if shared is None or shared.action != "Rollback" or shared.quorum is None:
        return [f"{names} read the same paths"]
    breached = 1 + sum(1 for reader in world.readers if reader.breached)
    share = 100.0 * breached / (1 + len(world.readers))
    if share < shared.quorum:
        return [f"{names} read the same paths, and {share:.0f} % of the readers breach, below {shared.quorum:g} %"]
    return []


def _companions_reasons(rollback: Rollback, facts: RestoreFacts, world: World) -> list[str]:
    """The brake and the policy of an application count, whoever's breach it is that would change it."""
    cut = len(facts.changed_files) >= MANY_FILES  # any of them may be among what is left out
    return [
        reason
        for each in world.companions
        if (files := facts.changed_files if cut else facts.changes_in(each.companion.paths))
        for reason in _companion_reasons(each, files, facts, automatic=rollback.automatic)
    ]


def _companion_reasons(
    found: CompanionFacts, files: tuple[str, ...], facts: RestoreFacts, *, automatic: bool
) -> list[str]:
    key, policy = found.companion.application, found.policy
    reasons = [f"it changes {key} too, which is paused"] if found.paused and automatic else []
    if policy is None:
        return reasons
    if policy.mode is Mode.SHADOW and automatic:
        reasons.append(f"it changes {key} too, whose policy changes nothing")
    kept = [file for file in files if any(_matches(file, glob) for glob in policy.protect.paths)]
    kept += [each.path for each in facts.touches if each.kind in policy.protect.kinds and each.path in files]
    return [*reasons, f"it changes {one_line(kept[0])}, which the policy of {key} protects"] if kept else reasons


def _matches(path: str, glob: str) -> bool:
    """Shell pattern over a path; ``**`` spans folders, and a pattern that names a folder covers what is in it."""
    pattern = glob.strip("/")
    return (
        fnmatchcase(path, pattern)
        or fnmatchcase(path, pattern.replace("**/", ""))
        or path.startswith(pattern.removesuffix("/**") + "/")
    )
