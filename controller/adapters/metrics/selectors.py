"""Owners' selectors, made ready to send: the administrator's matchers, bucket edges, and one selector for several values.

Invariant: an enforced matcher narrows and never widens, since Prometheus requires all matchers on a label; a regular
expression made here matches exactly the values that it was made of.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from controller.core.promql import Matcher, PromQLError, Selector, parse_selector

LONGEST_TEXT = 4096
_DEEPEST = 32
_REGEX_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")


def bounded(text: str) -> None:
    """Refuse text that would cost too much to parse.

    Raises:
        PromQLError: it is too long, or nested too deeply.
    """
    if len(text) > LONGEST_TEXT:
        raise PromQLError(f"longer than {LONGEST_TEXT} characters", "use a recording rule")
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise PromQLError(f"nested more than {_DEEPEST} deep", "use a recording rule")


@lru_cache(maxsize=16384)
def plain_selector(text: str) -> Selector:
    """Read an owner's selector.

    Raises:
        PromQLError: it is no plain selector of one named metric, or too long.
    """
    bounded(text)
    return parse_selector(text)


def enforce(selector: Selector, enforced: Iterable[tuple[str, str]]) -> Selector:
    """The selector with the administrator's matchers (pairs of label and value)."""
    return replace(
        selector, matchers=(*selector.matchers, *(Matcher(label, "=", value) for label, value in enforced))
    )


def alternatives(values: Iterable[str]) -> str:
    """An (anchored) regular expression that matches exactly these values, escaped as Go's ``regexp.QuoteMeta`` does."""
    return "|".join(_REGEX_SPECIAL.sub(r"\\\1", each) for each in values)


def bucket(selector: Selector) -> Selector:
    """The selector of a histogram's bucket by every text that its edge may have.

    Prometheus 3 stores ``le="1"`` as ``le="1.0"``, and so does an exporter that speaks OpenMetrics.

    Raises:
        PromQLError: it has no ``le``, or one that is no number.
    """
    edges = selector.on("le")
    if len(edges) != 1 or edges[0].operator not in {"=", "=~"}:
        raise PromQLError('success is one bucket of a histogram and needs its edge, for example le="0.3"')
    if edges[0].operator == "=~":
        return selector
    forms = Matcher("le", "=~", alternatives(edge_forms(edges[0].value)))
    return replace(selector, matchers=tuple(forms if each.label == "le" else each for each in selector.matchers))


def edge_forms(text: str) -> list[str]:
    """The texts by which one bucket edge is known, the given one first.

    Raises:
        PromQLError: it is no number.
    """
    try:
        edge = float(text)
    except ValueError:
        raise PromQLError(f'le="{text[:40]}" is no bucket edge', 'write a number, for example le="0.3"') from None
    if not math.isfinite(edge):
        return [text]
    forms = [text, repr(edge), f"{edge:g}"]
    if edge.is_integer():
        forms += [f"{edge:.0f}", f"{edge:.0f}.0"]
    return list(dict.fromkeys(each for each in forms if float(each) == edge))
