"""PromQL as far as a policy uses it: one plain selector, or one expression that returns events or a value.

Invariant: a ``Selector`` names one metric and plain matchers, without range, offset or ``@``; written back by ``str`` it
selects exactly what was read. Parsing is bounded, so that a hostile policy costs microseconds.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

import promql_parser as grammar

from controller.core.declared import DeclarationError
from controller.core.promql_text import Kind, complexity, pieces

WINDOW = "$window"
_MOST_OPERATORS = 100
_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_WINDOW = re.compile(r"\$window\b")
_VARIABLE = re.compile(r"[\[:]\s*(\$\w+)")
_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


class PromQLError(DeclarationError):
    """Text that is no PromQL, or not the kind of it that is due here."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; ``operator`` is ``=``, ``!=``, ``=~`` or ``!~``."""

    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and its matchers, in the order in which they were written."""

    metric: str
    matchers: tuple[Matcher, ...] = ()

    def __str__(self) -> str:
        conditions = [str(each) for each in self.matchers]
        if not _PLAIN_NAME.fullmatch(self.metric):
            return "{" + ",".join([quoted(self.metric), *conditions]) + "}"
        return self.metric + ("{" + ",".join(conditions) + "}" if conditions else "")

    def on(self, label: str) -> tuple[Matcher, ...]:
        """The matchers on one label."""
        return tuple(each for each in self.matchers if each.label == label)

    def without(self, label: str) -> "Selector":
        """The same selector without conditions on one label."""
        return Selector(self.metric, tuple(each for each in self.matchers if each.label != label))

    def covers(self, other: "Selector") -> bool:
        """Whether every series of the other one is surely a series of this one, as far as the text shows."""
        return self.metric == other.metric and set(self.matchers) <= set(other.matchers)


def quoted(value: str) -> str:
    """A PromQL string literal of exactly this text."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def uses_window(text: str) -> bool:
    """Whether an expression contains ``$window``."""
    return any(_WINDOW.search(piece.text) for piece in pieces(text) if piece.kind is Kind.CODE)


def with_window(text: str, duration: str) -> str:
    """The expression with a duration such as ``60s`` in place of ``$window``; literals stay as they are.

    Raises:
        PromQLError: it has another variable.
    """
    return "".join(
        _windowed(piece.text, duration) if piece.kind is Kind.CODE else piece.text for piece in pieces(text)
    )


def _windowed(code: str, duration: str) -> str:
    stray = next((each[1] for each in _VARIABLE.finditer(code) if each[1] != WINDOW), None)
    if stray:
        raise PromQLError(f"{stray} is not known here", f"the only variable is {WINDOW}")
    return _WINDOW.sub(duration, code)


def _parsed(text: str) -> grammar.Expr:
    if complexity(text) > _MOST_OPERATORS:
        raise PromQLError(f"more than {_MOST_OPERATORS} operators and brackets", "use a recording rule")
    try:
        return grammar.parse(with_window(text, "5m"))
    except ValueError as error:
        raise PromQLError(f"not valid PromQL: {str(error)[:160]}") from error
    except RecursionError:
        raise PromQLError("nested too deeply", "use a recording rule") from None


def parse_selector(text: str) -> Selector:
    """Read a plain selector such as ``http_requests_total{service="checkout"}``.

    Raises:
        PromQLError: it is no PromQL, or more than one metric with plain matchers.
    """
    found = _parsed(text)
    if isinstance(found, grammar.MatrixSelector):
        raise PromQLError("a metric is a plain selector, without a range", "leave out the part in [ ]")
    if not isinstance(found, grammar.VectorSelector):
        raise PromQLError(
            "a metric is a plain selector, not an expression", "write the expression under query instead"
        )
    if found.offset is not None or found.at is not None:
        raise PromQLError("a metric is a plain selector, without offset or @", "leave them out")
    if found.matchers.or_matchers:
        raise PromQLError('"or" between matchers is not supported', 'use a regular expression: label=~"a|b"')
    return _selector(found)


def _selector(found: grammar.VectorSelector) -> Selector:
    matchers = tuple(
        Matcher(each.name, _OPERATORS[str(each.op).rpartition(".")[2]], each.value)
        for each in found.matchers.matchers
    )
    named = [each for each in matchers if each.label == "__name__"]
    if found.name is None and (len(named) != 1 or named[0].operator != "="):
        raise PromQLError("the metric is not named", 'write for example http_requests_total{service="checkout"}')
    name = found.name if found.name is not None else named[0].value
    return Selector(name, tuple(each for each in matchers if each.label != "__name__"))


@dataclass(frozen=True, slots=True)
class Expression:
    """What is known of a valid expression without asking a server."""

    several: bool
    """Whether it may return more than one series."""
    functions: frozenset[str]
    """Names of the functions that it calls."""
    selectors: tuple[Selector, ...] = ()
    """What it reads, without ranges and offsets; a selector that names no metric is left out."""


def parse_expression(text: str) -> Expression:
    """Read an expression that returns one number per series.

    Raises:
        PromQLError: it is no PromQL, or returns a range or text.
    """
    found = _parsed(text)
    bare = _bare(found)
    if isinstance(bare, grammar.MatrixSelector | grammar.SubqueryExpr):
        raise PromQLError("the query returns a range, not a number", "wrap it, for example in sum(increase(…))")
    if isinstance(bare, grammar.StringLiteral):
        raise PromQLError("the query returns text, not a number")
    functions: set[str] = set()
    selectors: dict[Selector, None] = {}

    def visit(node: grammar.Expr) -> bool:
        if isinstance(node, grammar.Call):
            functions.add(node.func.name)
        elif isinstance(node, grammar.VectorSelector):
            with suppress(PromQLError):
                selectors[_selector(node)] = None
        return True

    grammar.walk(found, visit)
    return Expression(_several(found), frozenset(functions), tuple(selectors))


def _bare(node: grammar.Expr) -> grammar.Expr:
    while isinstance(node, grammar.ParenExpr | grammar.UnaryExpr):
        node = node.expr
    return node


def _several(node: grammar.Expr) -> bool:
    """Whether the shape of an expression allows more than one series."""
    bare = _bare(node)
    if isinstance(bare, grammar.NumberLiteral):
        return False
    if isinstance(bare, grammar.AggregateExpr):
        return bare.modifier is not None or str(bare.op) in {"topk", "bottomk", "count_values"}
    if isinstance(bare, grammar.BinaryExpr):
        return _several_of_two(bare)
    if isinstance(bare, grammar.Call):
        if bare.func.name in {"scalar", "vector", "time", "pi", "absent", "absent_over_time"}:
            return False
        return any(_several(each) for each in bare.args)
    return not isinstance(bare, grammar.StringLiteral)


def _several_of_two(node: grammar.BinaryExpr) -> bool:
    if str(node.op) in {"and", "unless"}:
        return _several(node.lhs)
    return _several(node.lhs) or _several(node.rhs)
