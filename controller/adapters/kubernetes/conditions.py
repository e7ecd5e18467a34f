"""Conditions in the Kubernetes manner, as they stand in ``status.conditions`` of our objects.

Invariant: the time of a condition moves only when its status does; the same conditions written again are the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any, Literal

from controller.adapters.kubernetes.fields import Node, mappings, text

LONGEST_MESSAGE = 2000

Truth = Literal["True", "False", "Unknown"]
Transitions = Mapping[str, tuple[str, str]]
"""By type: the status that stands in the object, and since when."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, without its times."""

    type: str
    status: Truth
    reason: str
    """One word in upper camel case."""
    message: str


def transitions(status: Node) -> Transitions:
    """What stands in an object's status; of what cannot be read, nothing."""
    found = {}
    for each in mappings(status, "conditions"):
        kind, since = text(each, "type"), text(each, "lastTransitionTime")
        if kind and since:
            found[intern(kind)] = intern(text(each, "status")), since
    return found


def written(
    conditions: Iterable[Condition], before: Transitions, now: str, generation: int | None = None
) -> list[dict[str, Any]]:
    """The conditions as they are written.

    Args:
        conditions: how it is now.
        before: what stands in the object.
        now: the time as the API writes it, in whole seconds.
        generation: of the spec that was looked at, where they are about one.
    """
    return [written_since(each, _since(each, before, now), generation) for each in conditions]


def written_since(condition: Condition, since: str, generation: int | None = None) -> dict[str, Any]:
    """One condition that is known to be so since a time."""
    observed = {} if generation is None else {"observedGeneration": generation}
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message[:LONGEST_MESSAGE],
        **observed,
        "lastTransitionTime": since,
    }


def _since(condition: Condition, before: Transitions, now: str) -> str:
    status, since = before.get(condition.type, ("", ""))
    return since if status == condition.status else now
