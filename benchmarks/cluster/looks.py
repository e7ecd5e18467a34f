"""Which looks of another tool came in time, from what it says of them itself.

Invariant: the tool is held to its own schedule: a look is due one interval after the one before it has ended.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Look = tuple[float, float]
"""When it began and when it ended, Unix seconds."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The looks of some series that began within a stretch of time."""

    due: int
    found: int
    begun: int
    """No more than were due in any series."""
    in_time: int
    """Begun no later than one interval after they were due."""


def kept(series: Iterable[Sequence[Look]], begin: float, end: float, interval: float) -> Kept:
    """Look at what each series holds; each owes one look for each whole interval of the stretch."""
    due = found = begun = in_time = 0
    for looks in series:
        owed = int((end - begin) // interval)
        inside = [index for index, (at, _) in enumerate(looks) if begin <= at < end]
        late = sum(1 for index in inside if index and looks[index][0] - looks[index - 1][1] > 2 * interval)
        due, found, begun = due + owed, found + len(inside), begun + min(len(inside), owed)
        in_time += max(0, min(len(inside) - late, owed))
    return Kept(due, found, begun, in_time)
