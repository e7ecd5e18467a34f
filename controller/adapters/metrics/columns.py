"""Counts in every tick of a grid: those of one thing as a column, those of several as one table.

Invariant: a tick of a column is a ``Tally`` that says all that is known of it; nothing is told of a tick twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from controller.adapters.metrics.api import Row
from controller.core.evidence import Floats
from controller.ports.metrics import MetricsError

Flags: TypeAlias = NDArray[np.bool_]


@dataclass(slots=True)
class Tally:
    """One count in one tick."""

    value: float = 0.0
    present: bool = False
    """Whether the selector found any series."""
    unknown: str = ""
    """Why it is not known whether these are all events of this tick, and no others."""
    warning: str = ""
    """What the server warned of."""
    several: bool = False
    """Whether several series came where one was due."""


@dataclass(slots=True, eq=False)
class Column:
    """One count in each tick of a grid; arrays of shape (ticks,), the rest by the tick's index."""

    values: Floats
    present: Flags
    unknown: Mapping[int, str] = field(default_factory=dict)
    warnings: Mapping[int, str] = field(default_factory=dict)
    several: frozenset[int] = frozenset()

    def tally(self, index: int) -> Tally:
        """One tick."""
        return Tally(
            float(self.values[index]),
            bool(self.present[index]),
            self.unknown.get(index, ""),
            self.warnings.get(index, ""),
            index in self.several,
        )

    @property
    def plain(self) -> Flags:
        """Which ticks have a number, and nothing beside it to be said."""
        found = np.isfinite(self.values)
        found[[*self.unknown, *self.warnings, *self.several]] = False
        return found

    @property
    def nothing(self) -> Flags:
        """In which ticks no series was found, nor anything said."""
        found = ~self.present
        found[list(self.warnings)] = False
        return found


Told: TypeAlias = Column | MetricsError
"""A count in each tick, or why there is none."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Numbers of several rows of an answer, and where in a table they belong; arrays of shape (numbers,)."""

    members: NDArray[np.intp]
    places: NDArray[np.intp]
    numbers: Floats

    @classmethod
    def of(cls, rows: Sequence[tuple[int, Row]], first: int = 0) -> "Cells":
        """The numbers of rows, each with its member; the answer's first point is tick ``first``."""
        if not rows:
            none = np.zeros(0, dtype=np.intp)
            return cls(none, none, np.zeros(0))
        members = np.repeat([member for member, _ in rows], [row.places.size for _, row in rows])
        places = np.concatenate([row.places for _, row in rows]) + first
        return cls(members, places, np.concatenate([row.numbers for _, row in rows]))

    def where(self, wanted: Flags) -> "Cells":
        """Those for which ``wanted``, shape (numbers,), is set."""
        return Cells(self.members[wanted], self.places[wanted], self.numbers[wanted])

    def add_to(self, table: Floats) -> None:
        """Add the numbers to a table of shape (members, ticks)."""
        np.add.at(table, (self.members, self.places), self.numbers)

    def mark(self, table: Flags) -> None:
        """Set the flags of the cells in a table of shape (members, ticks)."""
        table[self.members, self.places] = True

    def of_table(self, table: Flags) -> Flags:
        """The flags that a table of shape (members, ticks) has at these places."""
        return np.asarray(table[self.members, self.places])


def told_once(rows: Iterable[Row], points: int, warnings: Sequence[str]) -> Column:
    """The column of an expression that should return one series."""
    values, present, several = np.zeros(points), np.zeros(points, dtype=np.bool_), set[int]()
    for row in rows:
        several.update(row.places[present[row.places]].tolist())
        present[row.places] = True
        values[row.places] = row.numbers
    warned = dict.fromkeys(range(points), warnings[0]) if warnings else {}
    return Column(values, present, warnings=warned, several=frozenset(several))
