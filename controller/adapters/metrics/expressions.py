"""Owners' own expressions, made safe to send: bounded in what they cost, and confined to the enforced matchers.

Invariant: where matchers are enforced, each selector of what is sent carries them. The text is written anew from the
parsed expression, and proved: read again, it must say node by node what the owner wrote, with the matchers added.
Where the proof fails, nothing is sent.
"""

import math
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeAlias

import promql_parser as grammar

from controller.adapters.metrics.selectors import bounded, enforce
from controller.core.promql import Matcher, PromQLError, Selector, parse_expression, quoted

Enforced: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of label and value."""

_MOST_NODES = 256
_MOST_SELECTORS = 16
_ZERO = timedelta(0)
_LONGEST_RANGE = timedelta(days=1)
_LONGEST_OFFSET = timedelta(days=7)
_MOST_SUBQUERY_STEPS = 11_000
_FORBIDDEN = {"info": "it reads series that the query does not name"}
_SIMPLER = "write it more simply"
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


@lru_cache(maxsize=4096)
def sendable(text: str, window: str, enforced: Enforced) -> str:
    """An owner's expression with ``$window`` filled in (a PromQL duration) and the enforced matchers on every selector.

    Raises:
        PromQLError: it is no expression, costs too much, or cannot be confined to the enforced matchers.
    """
    bounded(text)
    parse_expression(text)
    filled = text.replace("$window", window)
    root = _parse(filled)
    for count, node in enumerate(_nodes(root)):
        if count > _MOST_NODES:
            raise PromQLError("the expression is too large", "use a recording rule")
        _check(node)
    if len(_selectors(root)) > _MOST_SELECTORS:
        raise PromQLError(f"more than {_MOST_SELECTORS} selectors", "use a recording rule")
    if not enforced:
        return filled
    sent = _written(root, enforced)
    if _outline(_parse(sent), ()) != _outline(root, enforced):
        raise PromQLError("the query cannot be confined to the matchers that are enforced here", _SIMPLER)
    return sent


def first_selector(text: str, enforced: Enforced) -> Selector | None:
    """The first selector with a metric's name in an owner's expression, confined; None where there is none."""
    found = _selectors(_parse(sendable(text, "5m", enforced)))
    return next((each for each in found if each.metric), None)


def _parse(text: str) -> grammar.Expr:
    try:
        return grammar.parse(text)
    except ValueError as error:
        raise PromQLError(f"not valid PromQL: {str(error)[:160]}") from None


def _children(node: Any) -> list[Any]:
    """The parts of a node that are expressions. A kind that is not known here is refused: it may hide a selector."""
    match node:
        case grammar.VectorSelector() | grammar.NumberLiteral() | grammar.StringLiteral():
            return []
        case grammar.MatrixSelector():
            return [node.vector_selector]
        case grammar.ParenExpr() | grammar.UnaryExpr() | grammar.SubqueryExpr():
            return [node.expr]
        case grammar.AggregateExpr():
            return [node.expr] if node.param is None else [node.param, node.expr]
        case grammar.BinaryExpr():
            return [node.lhs, node.rhs]
        case grammar.Call():
            return list(node.args)
    raise PromQLError(f"{type(node).__name__} is not known here", _SIMPLER)


def _nodes(root: Any) -> Iterator[Any]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(_children(node)))


def _selectors(root: Any) -> list[Selector]:
    return [_selector(node) for node in _nodes(root) if isinstance(node, grammar.VectorSelector)]


def _selector(node: grammar.VectorSelector) -> Selector:
    if node.matchers.or_matchers:
        raise PromQLError('"or" between matchers is not supported', 'use a regular expression: label=~"a|b"')
    matchers = [
        Matcher(each.name, _OPERATORS[str(each.op).rpartition(".")[2]], each.value) for each in node.matchers.matchers
    ]
    return Selector(node.name or "", tuple(matchers))


def _check(node: Any) -> None:
    if isinstance(node, grammar.Call) and node.func.name in _FORBIDDEN:
        raise PromQLError(f"{node.func.name}() is not allowed: {_FORBIDDEN[node.func.name]}")
    if isinstance(node, grammar.MatrixSelector | grammar.SubqueryExpr) and (node.range or _ZERO) > _LONGEST_RANGE:
        raise PromQLError("a range is longer than a day", "use a recording rule")
    if isinstance(node, grammar.SubqueryExpr):
        step = node.step or timedelta(seconds=15)
        if (node.range or _ZERO) / max(step, timedelta(milliseconds=1)) > _MOST_SUBQUERY_STEPS:
            raise PromQLError(f"a subquery has more than {_MOST_SUBQUERY_STEPS} steps", "use a longer step")
    if isinstance(node, grammar.VectorSelector | grammar.SubqueryExpr):
        if node.at is not None:
            raise PromQLError("@ is not allowed: each tick is asked at its own time", "leave it out")
        if node.offset is not None and not _ZERO <= node.offset <= _LONGEST_OFFSET:
            raise PromQLError("an offset lies between 0 and 7d", "leave it out")


def _written(node: Any, enforced: Enforced) -> str:
    """The expression as PromQL, its selectors confined; parentheses stand wherever they might be needed."""

    def inner(each: Any) -> str:
        return _written(each, enforced)

    match node:
        case grammar.VectorSelector():
            text = _confined(node, enforced) + _shifted(node)
        case grammar.MatrixSelector():
            vector = node.vector_selector
            text = f"{_confined(vector, enforced)}[{_duration(node.range)}]{_shifted(vector)}"
        case grammar.SubqueryExpr():
            step = "" if node.step is None else _duration(node.step)
            text = f"({inner(node.expr)})[{_duration(node.range)}:{step}]{_shifted(node)}"
        case grammar.AggregateExpr():
            text = f"{node.op} {_labelled(node.modifier)}({', '.join(map(inner, _children(node)))})"
        case grammar.BinaryExpr():
            text = f"({inner(node.lhs)}) {node.op} {_matched(node.modifier)}({inner(node.rhs)})"
        case grammar.UnaryExpr():
            text = f"-({inner(node.expr)})"
        case grammar.Call():
            text = f"{node.func.name}({', '.join(map(inner, node.args))})"
        case grammar.NumberLiteral() | grammar.StringLiteral():
            text = _literal(node.val)
        case _:
            text = f"({inner(node.expr)})"
    return text


def _literal(value: float | str) -> str:
    if isinstance(value, str):
        return quoted(value)
    return repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else f"{value:+}"


def _confined(node: grammar.VectorSelector, enforced: Enforced) -> str:
    selector = enforce(_selector(node), enforced)
    return str(selector) if selector.metric else "{" + ",".join(map(str, selector.matchers)) + "}"


def _shifted(node: Any) -> str:
    return "" if node.offset is None else f" offset {_duration(node.offset)}"


def _duration(length: timedelta | None) -> str:
    return f"{(length or _ZERO) // timedelta(milliseconds=1)}ms"


def _labelled(modifier: Any) -> str:
    if modifier is None:
        return ""
    kind = {"By": "by", "Without": "without", "Include": "on", "Exclude": "ignoring"}[_kind(modifier.type)]
    return f"{kind} ({', '.join(modifier.labels)}) "


def _matched(modifier: Any) -> str:
    if modifier is None:
        return ""
    group = {"ManyToOne": "group_left", "OneToMany": "group_right"}.get(_kind(modifier.card))
    grouped = f"{group} ({', '.join(modifier.group_labels or ())}) " if group else ""
    return ("bool " if modifier.return_bool else "") + _labelled(modifier.matching) + grouped


def _kind(value: Any) -> str:
    return str(value).rpartition(".")[2]


def _outline(root: Any, enforced: Enforced) -> list[tuple[Any, ...]]:
    """All that an expression says, node by node, its selectors confined: equal outlines mean the same.

    Parentheses are left out: what they group is told by the order of the nodes.
    """
    kept = (node for node in _nodes(root) if not isinstance(node, grammar.ParenExpr))
    return [(type(node).__name__, *_described(node, enforced)) for node in kept]


def _described(node: Any, enforced: Enforced) -> tuple[Any, ...]:
    described: tuple[Any, ...] = ()
    match node:
        case grammar.VectorSelector():
            described = (enforce(_selector(node), enforced), node.offset)
        case grammar.MatrixSelector():
            described = (node.range,)
        case grammar.SubqueryExpr():
            described = (node.range, node.step, node.offset)
        case grammar.AggregateExpr():
            described = (str(node.op), node.param is None, _labelled(node.modifier))
        case grammar.BinaryExpr():
            fill = getattr(node.modifier, "fill_values", None)
            filled = fill is not None and (fill.lhs, fill.rhs) != (None, None)
            described = (str(node.op), _matched(node.modifier), filled)
        case grammar.Call():
            described = (node.func.name, len(node.args))
        case grammar.NumberLiteral() | grammar.StringLiteral():
            described = (repr(node.val),)
    return described
