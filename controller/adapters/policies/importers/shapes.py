"""Recognises what a query counts, so that raw counters are read where a source wrote rates.

Invariant: a query is only rewritten where the new one counts the same events; else it is kept as a query over
``$window``, or refused.
"""

import re
from typing import Any

import promql_parser as grammar

from controller.adapters.policies.importers.draft import Data, NotExpressible
from controller.core.promql import Matcher, PromQLError, Selector, parse_expression, parse_selector
from controller.core.promql_text import Kind, pieces

_RANGE = re.compile(r"\[[^\]:]*\]")
_RATE = re.compile(r"\brate(\s*\()")
_COUNTING = frozenset({"increase", "vector", "scalar", "clamp_min", "clamp_max", "label_replace", "label_join"})
_OPPOSITE = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}


def over_window(query: str) -> str:
    """The query with every range made ``$window``, and every ``rate`` an ``increase``."""
    return "".join(
        _RATE.sub(r"increase\1", _RANGE.sub("[$window]", each.text)) if each.kind is Kind.CODE else each.text
        for each in pieces(query)
    )


def counter(query: str) -> Selector | None:
    """The raw counter in ``sum(rate(counter[…]))``, ``sum(counter)`` or ``counter``; else None."""
    try:
        parse_expression(query)
        return _counter(grammar.parse(query.replace("$window", "5m")))
    except (ValueError, RecursionError):
        return None


def _bare(node: Any) -> Any:
    while isinstance(node, grammar.ParenExpr):
        node = node.expr
    return node


def _counter(node: Any) -> Selector | None:
    node = _bare(node)
    inner = node
    if isinstance(node, grammar.AggregateExpr):
        if str(node.op) != "sum" or node.modifier is not None:
            return None
        inner = _bare(node.expr)
    if isinstance(inner, grammar.Call) and inner.func.name in {"rate", "increase"}:
        inner = _bare(inner.args[0])
        inner = inner.vector_selector if isinstance(inner, grammar.MatrixSelector) else None
    if not isinstance(inner, grammar.VectorSelector) or inner.offset is not None or inner.at is not None:
        return None
    return parse_selector(_selector_text(inner))


def _selector_text(node: Any) -> str:
    matchers = [Matcher(each.name, _operator(each), each.value) for each in node.matchers.matchers]
    named = [*([Matcher("__name__", "=", node.name)] if node.name else []), *matchers]
    return "{" + ",".join(str(each) for each in named) + "}"


def _operator(matcher: Any) -> str:
    names = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    return names[str(matcher.op).rpartition(".")[2]]


def difference(query: str) -> tuple[Selector, Selector] | None:
    """The two raw counters of ``sum(rate(all)) - sum(rate(good))``; None where the query is anything else."""
    try:
        parse_expression(query)
        node = _bare(grammar.parse(query.replace("$window", "5m")))
        if not isinstance(node, grammar.BinaryExpr) or str(node.op) != "-":
            return None
        first, second = _counter(node.lhs), _counter(node.rhs)
    except (ValueError, RecursionError):
        return None
    return (first, second) if first and second else None


def bad_of_total(errors: str, total: str) -> Data:
    """An indicator of two queries that count bad and all events."""
    everything, parts = counter(total), difference(errors)
    if everything is not None and parts is not None and parts[0] == everything:
        return good_of_total(_text(parts[1]), total)
    bad = counter(errors)
    if bad is not None and everything is not None:
        return {"ratio": {"errors": {"metric": str(bad)}, "total": {"metric": str(everything)}}}
    return {"ratio": {"errors": {"query": _checked(errors)}, "total": {"query": _checked(total)}}}


def good_of_total(good: str, total: str) -> Data:
    """An indicator of two queries that count good and all events."""
    fine, everything = counter(good), counter(total)
    if fine is not None and everything is not None:
        if fine.metric.endswith("_bucket") and everything.metric == fine.metric.removesuffix("_bucket") + "_count":
            return {"latency": {"success": {"metric": str(fine)}, "total": {"metric": str(everything)}}}
        extra = [each for each in fine.matchers if each not in everything.matchers]
        if fine.metric == everything.metric and everything.covers(fine) and len(extra) == 1:
            opposite = Matcher(extra[0].label, _OPPOSITE[extra[0].operator], extra[0].value)
            bad = Selector(everything.metric, (*everything.matchers, opposite))
            return {"ratio": {"errors": {"metric": str(bad)}, "total": {"metric": str(everything)}}}
    whole, part = _checked(total), _checked(good)
    return {"ratio": {"errors": {"query": f"({whole}) - ({part})"}, "total": {"query": whole}}}


def _text(selector: Selector) -> str:
    return f"sum(increase({selector}[$window]))"


def _checked(query: str) -> str:
    """A query that is kept as such, over ``$window``."""
    alone = counter(query)
    wanted = over_window(query) if alone is None else _text(alone)
    try:
        found = parse_expression(wanted)
    except PromQLError as error:
        raise NotExpressible(f"{error} in {query[:120]}") from None
    if "$window" not in wanted:
        raise NotExpressible(f"the query counts over no range, so events cannot be told from totals: {query[:120]}")
    _counts_events(wanted, found.functions, query)
    return wanted


def _counts_events(wanted: str, functions: frozenset[str], query: str) -> None:
    """Refuse what may be in proportion to a number of events, but is none: evidence needs the number."""
    other = sorted(functions - _COUNTING)
    if other:
        raise NotExpressible(f"{other[0]} counts no events: {query[:120]}")
    divisions: list[str] = []

    def visit(node: Any) -> bool:
        if isinstance(node, grammar.BinaryExpr) and str(node.op) in {"/", "%", "^"}:
            divisions.append(str(node.op))
        return True

    grammar.walk(grammar.parse(wanted.replace("$window", "5m")), visit)
    if divisions:
        raise NotExpressible(f"what is divided ({divisions[0]}) is no number of events: {query[:120]}")
