"""Counts of one shape share a query: selectors that differ only in values of labels that they fix.

Invariant: each count gets from the shared query exactly what it would get alone. A label may tell counts apart only
where both the counted selector and its target's fix it to the same value, so every match between series stays inside
one count. So does the moment that tells new pods: each target is looked at at its own.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from controller.adapters.metrics import deltas
from controller.adapters.metrics.deltas import Count
from controller.adapters.metrics.selectors import alternatives
from controller.core.promql import Matcher, Selector

MOST_MEMBERS = 200
"""Counts in one query: Prometheus looks alternatives up in its index, instead of matching, up to 256 of them."""


_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Group:
    """Counts that are asked together."""

    shape: Count
    """What is asked: with regular expressions where the members differ."""
    by: tuple[str, ...]
    """The labels that tell the members apart."""
    members: Mapping[tuple[str, ...], Count]
    """By the values of these labels."""

    @property
    def moments(self) -> Sequence[tuple[deltas.Counter, float]]:
        """The target of each member whose new pods alone count, and the moment that tells them: its own."""
        return [(each.target, each.new_since) for each in self.members.values() if each.new_since is not None]

    def halves(self) -> tuple["Group", "Group"]:
        """The same members in two groups (for two members or more)."""
        members = list(self.members.values())
        middle = len(members) // 2
        return _group(members[:middle], self.by), _group(members[middle:], self.by)


def shared(counts: Iterable[Count], most: int = MOST_MEMBERS) -> Sequence[Group]:
    """The fewest groups of at most ``most`` members for these counts; equal counts are one."""
    return _shared(tuple(dict.fromkeys(counts)), most)


@lru_cache(maxsize=8)
def _shared(counts: tuple[Count, ...], most: int) -> Sequence[Group]:
    """Remembered: with every tick the same is asked, once more for late samples."""
    shapes: dict[Any, list[Count]] = {}
    for number, count in _numbered(counts):
        shapes.setdefault((_shape_of(count), number), []).append(count)
    return [group for members in shapes.values() for group in _chunks(members, most)]


def _numbered(counts: Iterable[Count]) -> Iterator[tuple[int, Count]]:
    """Counts that differ in nothing but the moment that tells new pods are numbered: no label tells their answers apart."""
    seen: Counter[Count] = Counter()
    for count in counts:
        alike = _at_any_moment(count)
        yield seen[alike], count
        seen[alike] += 1


def _at_any_moment(count: Count) -> Count:
    return count if count.new_since is None else replace(count, new_since=0.0)


@lru_cache(maxsize=16384)
def _tellable(count: Count) -> Mapping[str, str]:
    """The labels, with their values, that the counted selector and its target's both fix."""
    target = _fixed(count.target.selector)
    fixed = _fixed(count.counter.selector)
    return {k: v for k, v in fixed.items() if target.get(k) == v and k not in {*count.merged, "instance"}}


def _fixed(selector: Selector) -> dict[str, str]:
    """The labels that a selector fixes to one value, by a single ``=``."""
    once: dict[str, str] = {}
    twice = set()
    for each in selector.matchers:
        if each.label in once or each.operator != "=" or not each.value:
            twice.add(each.label)
        once[each.label] = each.value
    return {label: value for label, value in once.items() if label not in twice}


@lru_cache(maxsize=16384)
def _shape_of(count: Count) -> int:
    """A number that counts of one shape have in common: the same counts are asked for with every tick."""
    return _number_of(_shape(count))


@lru_cache(maxsize=1024)
def _number_of(shape: tuple[Any, ...]) -> int:  # noqa: ARG001  what is remembered
    return next(_numbers)


def _shape(count: Count) -> tuple[Any, ...]:
    labels = _tellable(count)
    blank = _with_values(count, {label: Matcher(label, "=", "") for label in labels})
    return _at_any_moment(blank), tuple(labels)


def _with_values(count: Count, matchers: Mapping[str, Matcher]) -> Count:
    def changed(selector: Selector) -> Selector:
        return replace(selector, matchers=tuple(matchers.get(each.label, each) for each in selector.matchers))

    return replace(
        count,
        counter=replace(count.counter, selector=changed(count.counter.selector)),
        target=replace(count.target, selector=changed(count.target.selector)),
    )


def _chunks(members: Sequence[Count], most: int) -> Iterator[Group]:
    values = [_tellable(each) for each in members]
    by = tuple(label for label in values[0] if len({each[label] for each in values}) > 1)
    ordered = sorted(members, key=lambda each: _key(each, by))
    for first in range(0, len(ordered), most):
        yield _group(ordered[first : first + most], by)


def _key(count: Count, by: Sequence[str]) -> tuple[str, ...]:
    values = _tellable(count)
    return tuple(values[label] for label in by)


def _group(members: Sequence[Count], by: tuple[str, ...]) -> Group:
    keyed = {_key(each, by): each for each in members}
    if len(members) == 1:
        return Group(members[0], (), {(): members[0]})
    columns = zip(*keyed, strict=True)
    either = {
        label: Matcher(label, "=~", alternatives(sorted(set(column))))
        for label, column in zip(by, columns, strict=True)
    }
    return Group(_with_values(members[0], either), by, keyed)
