"""Owners' selectors and queries before they are sent: read, bounded, and confined to the administrator's matchers."""

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.metrics.expressions import first_selector, sendable
from controller.adapters.metrics.selectors import alternatives, bucket, edge_forms, enforce, plain_selector
from controller.core.promql import PromQLError, parse_selector

TENANT = (("namespace", 'sh"op\\'),)


def selectors_in(text: str) -> list[str]:
    """Every selector of an expression, by the parser's own walk."""
    found = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append({(each.name, str(each.op), each.value) for each in node.matchers.matchers})
        return True

    promql_parser.walk(promql_parser.parse(text), visit)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "sum(increase(x[$window]))",
        'sum by (a, b) (increase(x{b!="y"}[$window] offset 1m)) / on(a) group_left(c) sum without (c) (y)',
        'topk(scalar(foo), bar{a=~"x\\\\.y"})',
        "quantile(scalar(secret), x)",
        '{__name__=~"a|b",c="d"} * 3e-9',
        "x > bool 5 and ignoring (a) -y unless z",
        "sum_over_time((x > 1)[1h:1m])",
        "max_over_time(rate(x[1m])[10m:] offset 5m)",
        'count_values("v", x) or label_replace(x, "a", "$1\\n", "b", "(.*)")',
        'x{namespace="other"}',
        'x{namespace=~".*"}',
        "-(-x) ^ 2 ^ -3 % 1e300 + Inf - NaN",
        "histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))",
        "absent(x) * time()",
        "x * on (a) group_right (b) y",
    ],
)
def test_every_selector_of_a_query_is_confined(text: str) -> None:
    """Wherever a selector hides, the enforced matcher is there, beside what the owner wrote."""
    sent = sendable(text, "60s", TENANT)
    found = selectors_in(sent)
    assert found
    assert all(("namespace", "MatchOp.Equal", 'sh"op\\') in each for each in found)
    assert len(found) == len(selectors_in(text.replace("$window", "60s")))


def test_without_enforced_matchers_the_owners_text_is_sent() -> None:
    """Only the window is filled in."""
    assert sendable("sum( increase(x[$window]) )  ", "90s", ()) == "sum( increase(x[90s]) )  "


def test_what_an_owner_wrote_about_the_tenant_only_narrows() -> None:
    """Both matchers stand: together they match nothing of another tenant."""
    assert selectors_in(sendable('x{namespace="other"}', "60s", (("namespace", "shop"),))) == [
        {("namespace", "MatchOp.Equal", "other"), ("namespace", "MatchOp.Equal", "shop")}
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sum(", "not valid PromQL"),
        ("x @ 5", "@"),
        ("x @ start()", "@"),
        ("sum(x offset -5m)", "offset"),
        ("x offset 8d", "offset"),
        ("sum(rate(x[2d]))", "longer than a day"),
        ("max_over_time(x[1d:1s])", "steps"),
        ("sum_over_time(x[2d:1h])", "longer than a day"),
        ('x{a="1" or b="2"}', '"or"'),
        ("info(x)", "info"),
        ("(" * 40 + "x" + ")" * 40, "nested"),
        ("x" + " + x" * 20, "16 selectors"),
        ("max(" + "vector(1)," * 300 + "x)", "not valid|brackets|large"),
        ("x" + " + 1" * 900, "100 operators"),
        ("-" * 4000 + "x", "100 operators"),
        ("x" * 5000, "longer than"),
        ("x[5m]", "range"),
        ('"text"', "text"),
        ("sum(increase(x[$range]))", "range"),
    ],
)
@pytest.mark.parametrize("enforced", [(), TENANT])
def test_what_costs_too_much_or_cannot_be_confined_is_refused(
    text: str, why: str, enforced: tuple[tuple[str, str], ...]
) -> None:
    """With a message that names what is wrong."""
    with pytest.raises(PromQLError, match=why):
        sendable(text, "60s", enforced)


@given(st.text(max_size=80))
def test_any_text_is_sent_or_refused(text: str) -> None:
    """No other exception, whatever an owner writes."""
    try:
        sent = sendable(text, "60s", (("namespace", "shop"),))
    except PromQLError:
        return
    assert all(("namespace", "MatchOp.Equal", "shop") in each for each in selectors_in(sent))


@given(value=st.text(max_size=20), label=st.sampled_from(["a", "namespace", "job"]))
def test_an_enforced_value_is_written_exactly(value: str, label: str) -> None:
    """Quotes, backslashes and line ends in a value change nothing else."""
    selector = enforce(plain_selector('x{b="c"}'), ((label, value),))
    assert parse_selector(str(selector)) == selector


@pytest.mark.parametrize(
    "text", ["rate(x[5m])", "x[5m]", "x offset 5m", "x @ 5", '{a="b"}', "x + y", "(x)", "1", "x{"]
)
def test_a_metric_is_one_plain_selector(text: str) -> None:
    """Ranges, offsets, functions and nameless selectors are refused."""
    with pytest.raises(PromQLError):
        plain_selector(text)


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("1", ["1", "1.0"]),
        ("1.0", ["1.0", "1"]),
        ("0.3", ["0.3"]),
        ("0.30", ["0.30", "0.3"]),
        ("10", ["10", "10.0"]),
        ("1e+06", ["1e+06", "1000000.0", "1000000"]),
        ("5e-05", ["5e-05"]),
        ("+Inf", ["+Inf"]),
    ],
)
def test_the_texts_of_one_bucket_edge(text: str, forms: list[str]) -> None:
    """As Prometheus 2, Prometheus 3 and OpenMetrics write it; each is the same number."""
    assert edge_forms(text) == forms
    assert {float(each) for each in forms} == {float(text)}


@pytest.mark.parametrize("text", ['x_bucket{le="fast"}', "x_bucket", 'x_bucket{le!="1"}', 'x_bucket{le="1",le="2"}'])
def test_a_success_selector_needs_its_edge(text: str) -> None:
    """One bucket, by a number."""
    with pytest.raises(PromQLError, match="le="):
        bucket(plain_selector(text))


def test_alternatives_match_exactly_these_values() -> None:
    """What means something in a regular expression is escaped."""
    assert alternatives(["a.b", "c|d", "e\\", "f(g)[h]{i}^$+*?"]) == (r"a\.b|c\|d|e\\|f\(g\)\[h\]\{i\}\^\$\+\*\?")


def test_the_first_selector_tells_what_a_query_reads() -> None:
    """Confined too; None where no metric is named."""
    assert str(first_selector("sum(increase(x[$window])) / sum(y)", (("a", "b"),))) == 'x{a="b"}'
    assert first_selector("vector(1)", ()) is None
