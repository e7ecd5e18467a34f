"""PromQL in policies: selectors, expressions, and templates that cannot be broken out of."""

import re
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.declared import DeclarationError
from controller.core.policy import Control, Indicator
from controller.core.policy_templates import render_control, render_indicator, uses_templates
from controller.core.promql import Matcher, PromQLError, Selector, parse_expression, parse_selector
from controller.core.promql_text import complexity, fill_in, pieces, template_names
from tests.core.policy_documents import RATIO, policy

LABELS = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True).filter(lambda each: each != "__name__")
MATCHERS = st.builds(Matcher, LABELS, st.sampled_from(["=", "!="]), st.text())
HOSTILE = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ['"} or x{a="', "\\", '\\"', "`", "a.b", ".*", "x\ny", "{{namespace}}", "$window", "#"]
)


@given(st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", fullmatch=True), st.lists(MATCHERS, max_size=4, unique=True))
def test_selector_is_written_as_it_is_read(metric: str, matchers: list[Matcher]) -> None:
    """A selector that is written and read again is the same one, whatever its values hold."""
    selector = Selector(metric, tuple(matchers))
    if (
        metric.lower() in {"and", "or", "unless", "atan2", "bool", "by", "on", "offset", "inf", "nan"}
        or "_" not in metric
    ):
        selector = Selector(f"{metric}_total", tuple(matchers))
    assert parse_selector(str(selector)) == selector


def test_selector_knows_what_it_covers() -> None:
    """A selector with fewer conditions holds all series of one with more, and not the other way round."""
    wide, narrow = parse_selector('x{team="shop"}'), parse_selector('x{service="a",team="shop"}')
    assert wide.covers(narrow)
    assert not narrow.covers(wide)
    assert not parse_selector('y{team="shop"}').covers(narrow)
    assert narrow.without("service") == wide


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("sum(increase(x[$window]))", False),
        ("sum(x) / sum(y)", False),
        ("sum(x) or vector(0)", False),
        ("(max(x))", False),
        ("abs(sum(x))", False),
        ("42", False),
        ("sum by (pod) (x)", True),
        ("topk(3, x)", True),
        ("rate(x[$window])", True),
        ("x", True),
        ("sum(x) + y", True),
    ],
)
def test_number_of_series_is_seen_in_the_shape(text: str, several: bool) -> None:
    """Whether an expression may return several series is known before it is asked."""
    assert parse_expression(text).several is several


def test_expression_tells_its_functions_and_selectors() -> None:
    """Lint asks for each selector inside an expression by itself."""
    found = parse_expression('sum(increase(a{b="c"}[$window])) / max_over_time(d[1h:5m] offset 1w)')
    assert found.functions == {"increase", "max_over_time"}
    assert found.selectors == (Selector("a", (Matcher("b", "=", "c"),)), Selector("d"))


@pytest.mark.parametrize(
    "text", ["", "sum(", "rate(x[$other])", "x[5m]", "x[5m:1m]", '"text"', "no_such_function(x)"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """Only expressions that return numbers pass."""
    with pytest.raises(PromQLError):
        parse_expression(text)


@pytest.mark.parametrize("text", ["(" * 4000, "-" * 4000 + "x", "x" + "+x" * 2000, "sum(" * 900 + "x" + ")" * 900])
def test_hostile_expression_is_refused_at_once(text: str) -> None:
    """Parsing is quadratic in operators and recursive in brackets, so their number is bounded first."""
    begin = time.process_time()
    with pytest.raises(PromQLError, match="operators and brackets"):
        parse_expression(text)
    assert time.process_time() - begin < 1.0


@given(st.text())
def test_pieces_are_the_text(text: str) -> None:
    """Cutting loses nothing, and any text is parsed or refused, never anything else."""
    assert "".join(piece.text for piece in pieces(text)) == text
    assert complexity(text) >= 0
    for parse in (parse_expression, parse_selector):
        with suppress(PromQLError):
            parse(text)


@given(HOSTILE)
def test_template_selects_exactly_the_value(value: str) -> None:
    """Whatever a name holds, the selector has one matcher with exactly this value: no breaking out, no wildcard."""
    found = parse_selector(fill_in("x{a=\"{{application}}\",b!='{{ application }}'}", {"application": value}))
    assert found == Selector("x", (Matcher("a", "=", value), Matcher("b", "!=", value)))


@given(st.from_regex(r"[a-zA-Z0-9.+*?()|\[\]{}^$\\-]{1,20}", fullmatch=True))
def test_template_in_a_pattern_matches_exactly_the_value(value: str) -> None:
    """In a regular expression the value's own characters stand for themselves."""
    found = parse_selector(fill_in('x{a=~"{{application}}-[a-z]+"}', {"application": value}))
    pattern = found.matchers[0].value
    assert re.fullmatch(pattern, f"{value}-abc") is not None
    assert re.fullmatch(pattern, f"x{value}-abc") is None


def test_template_outside_a_value_is_refused() -> None:
    """A template may not become a metric, a label, a function or a part of a comment."""
    in_function = 'label_replace(x, "{{cluster}}", "", "", "")'
    for text in ('{{application}}{a="b"}', 'x{ {{application}}="b"}', in_function, "x # {{cluster}}"):
        with pytest.raises(DeclarationError, match="may stand only in a label's value"):
            template_names(text)


def test_backticks_hold_no_backticks() -> None:
    """Between backticks nothing can be escaped, so a value with one is refused there."""
    assert fill_in("x{a=`{{cluster}}`}", {"cluster": 'a"b'}) == 'x{a=`a"b`}'
    with pytest.raises(DeclarationError, match="backticks"):
        fill_in("x{a=`{{cluster}}`}", {"cluster": "a`b"})


def test_missing_value_is_refused() -> None:
    """A template that nobody fills in never reaches a server."""
    with pytest.raises(DeclarationError, match="no value here"):
        fill_in('x{a="{{cluster}}"}', {})


def test_indicator_and_control_are_rendered_whole() -> None:
    """Every text of an indicator is filled in; the rest of it stays."""
    indicator = Indicator.model_validate(
        {
            "ratio": {
                "errors": {"metric": 'x{a="{{application}}",code="500"}'},
                "total": {"metric": 'x{a="{{application}}",n="{{namespace}}",c="{{cluster}}"}'},
            }
        }
    )
    rendered = render_indicator(indicator, application="checkout", namespace="shop", cluster="eu")
    assert rendered.ratio is not None
    assert rendered.ratio.errors.metric == 'x{a="checkout",code="500"}'
    assert rendered.ratio.total.metric == 'x{a="checkout",n="shop",c="eu"}'
    control = Control.model_validate({"name": "c", "indicator": indicator.model_dump(exclude_none=True)})
    assert render_control(control, application="checkout", namespace="shop", cluster="eu") == rendered


def test_policy_knows_whether_it_has_templates() -> None:
    """A policy for one application needs none."""
    assert not uses_templates(policy().spec)
    templated = {**RATIO, "total": {"metric": 'x{a="{{application}}"}'}}
    assert uses_templates(policy(("spec", "objectives", 0, "indicator", "ratio"), templated).spec)
