"""Versions in the order of Semantic Versioning 2.0.0, read with some lenience.

Invariant: the order is total on what can be read. Lenient: one or two numbers (``1.4`` is 1.4.0), a leading ``v``, leading
zeros (``2027.01.05``). Build metadata does not count.
"""

import re
from dataclasses import dataclass
from functools import total_ordering

_VERSION = re.compile(
    r"[vV]?(\d{1,20})(?:\.(\d{1,20}))?(?:\.(\d{1,20}))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:[+_]([0-9A-Za-z.-]+))?",
    re.ASCII,
)
_LONGEST = 128


@total_ordering
@dataclass(frozen=True, slots=True)
class Semver:
    """A version's precedence; equal where the standard calls two versions equal."""

    numbers: tuple[int, int, int]
    pre_release: tuple[str, ...] = ()

    def __lt__(self, other: "Semver") -> bool:
        return self._key() < other._key()

    def _key(self) -> tuple[tuple[int, int, int], int, tuple[tuple[int, int, str], ...]]:
        # A release goes before its pre-releases; of identifiers, numbers are lower than words.
        marks = tuple((0, int(each), "") if each.isdigit() else (1, 0, each) for each in self.pre_release)
        return self.numbers, 0 if self.pre_release else 1, marks


def read_semver(text: str) -> Semver | None:
    """The version that a text is; None where it is none."""
    found = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    major, minor, patch = (int(found[n] or 0) for n in (1, 2, 3))
    return Semver((major, minor, patch), tuple(found[4].split(".")) if found[4] else ())
