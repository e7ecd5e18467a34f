"""How each declared policy stands, as conditions of its object.

    Ready         True: it guards applications. False: Invalid, Conflict, NoApplication.
    Conflict      True: another policy would guard an application of it; neither does.
    RollbackPath  True: a restore can be pushed (Push) or offered (PullRequest). False: neither (None), or no commit could
                  bring one of them back (NotRevertible). Unknown: not proven yet.

Invariant: pure; a condition's time moves only when its status does, and the same standing gives the same status.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.adapters.kubernetes.conditions import Condition, transitions, written
from controller.core.alerts import AlertName
from controller.core.application import ApplicationKey
from controller.core.git import RollbackPath
from controller.core.state import Rollout

MOST_NAMED = 50
_ALERTS = (AlertName.ROLLBACK_PATH_LOST, AlertName.NO_CREDENTIALS)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is told of one policy."""

    conditions: tuple[Condition, ...]
    applications: int
    """How many it guards."""
    guarded: tuple[str, ...]
    """The first of them, ``namespace/name``, sorted."""


def standing(
    invalid: str,
    conflicts: Iterable[str],
    matched: Iterable[ApplicationKey],
    rollouts: Mapping[ApplicationKey, Rollout],
) -> Standing:
    """How a policy stands.

    Args:
        invalid: why it cannot be used; empty: it can.
        conflicts: one sentence for each application that another policy would guard too.
        matched: the applications that it guards, sorted.
        rollouts: what is known of them.
    """
    keys, clashes = list(matched), list(conflicts)
    conflict = Condition("Conflict", "True", "Conflict", "; ".join(clashes)) if clashes else _NO_CONFLICT
    ready = _ready(invalid, clashes, keys)
    path = _path([rollouts[key] for key in keys if key in rollouts])
    return Standing((ready, conflict, path), len(keys), tuple(map(str, keys[:MOST_NAMED])))


_NO_CONFLICT = Condition("Conflict", "False", "NoConflict", "no other policy guards the same application")


def _ready(invalid: str, clashes: list[str], keys: list[ApplicationKey]) -> Condition:
    if invalid:
        return Condition("Ready", "False", "Invalid", invalid)
    if clashes:
        return Condition("Ready", "False", "Conflict", "; ".join(clashes))
    if not keys:
        return Condition("Ready", "False", "NoApplication", "no application that it may guard matches")
    named = ", ".join(map(str, keys[:3])) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")  # noqa: PLR2004
    return Condition("Ready", "True", "Guarding", f"guards {named}")


def _path(guarded: list[Rollout]) -> Condition:
    """The worst way that is open to one of its applications."""
    revertible = [each for each in guarded if not each.not_revertible]
    if len(revertible) < len(guarded):
        return Condition("RollbackPath", "False", "NotRevertible", _not_revertible(guarded))
    paths = [each.rollback_path for each in revertible]
    if not paths or None in paths:
        return Condition("RollbackPath", "Unknown", "NotProven", "which way a restore can take is not proven yet")
    if RollbackPath.NONE in paths:
        said = "the credentials do not allow a restore to be written"
        return Condition("RollbackPath", "False", "None", ". ".join([said, *_told(guarded)]))
    if RollbackPath.PULL_REQUEST in paths:
        return Condition("RollbackPath", "True", "PullRequest", "the branch refuses pushes: a restore is offered")
    return Condition("RollbackPath", "True", "Push", "a restore can be pushed")


def _not_revertible(guarded: list[Rollout]) -> str:
    """The first that no commit can bring back, and what a person does instead."""
    first = next(each for each in guarded if each.not_revertible)
    return f"{first.application.key}: {first.not_revertible}"


def _told(guarded: list[Rollout]) -> list[str]:
    """What people were told of the first application that has no way."""
    alerts = (alert for each in guarded if each.rollback_path is RollbackPath.NONE for alert in each.alerts)
    return [each.description for each in alerts if each.name in _ALERTS][:1]


def status_of(told: Standing, generation: int, before: Mapping[str, Any], now: str) -> dict[str, Any]:
    """The object's status; ``before`` is what it has, ``now`` the time as the API writes it."""
    return {
        "observedGeneration": generation,
        "applications": told.applications,
        "guarded": list(told.guarded),
        "conditions": written(told.conditions, transitions(before), now, generation),
    }
