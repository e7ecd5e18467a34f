"""The PromQL texts of an indicator, checked as fields: a selector, a value, a number of events over ``$window``.

Invariant: a text that validates parses with any value in place of its templates, and reads only what its field may read.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from controller.core.declared import DeclarationError
from controller.core.promql import WINDOW, Expression, Selector, parse_expression, parse_selector, uses_window
from controller.core.promql_text import TEMPLATES, fill_in

_PLACEHOLDER = dict.fromkeys(TEMPLATES, "placeholder")


def selector_of(text: str) -> Selector:
    """Read a metric that may hold templates; each stands as ``placeholder`` in the answer.

    Raises:
        DeclarationError: no plain selector, or a template that is unknown or misplaced.
    """
    return parse_selector(fill_in(text, _PLACEHOLDER))


def expression_of(text: str) -> Expression:
    """Read a query that may hold templates.

    Raises:
        DeclarationError: no expression that returns numbers, or a template that is unknown or misplaced.
    """
    return parse_expression(fill_in(text, _PLACEHOLDER))


def _metric(text: str) -> str:
    if uses_window(text):
        raise DeclarationError(f"a metric has no {WINDOW}", "write an expression with it under query instead")
    selector_of(text)
    return text


def _query(text: str) -> str:
    expression_of(text)
    return text


def _counting_query(text: str) -> str:
    _query(text)
    if not uses_window(text):
        raise DeclarationError(
            f"the query does not count over {WINDOW}", f"write for example sum(increase(x[{WINDOW}]))"
        )
    return text


MetricText = Annotated[str, Field(max_length=4096), AfterValidator(_metric)]
QueryText = Annotated[str, Field(max_length=4096), AfterValidator(_query)]
CountingQueryText = Annotated[str, Field(max_length=4096), AfterValidator(_counting_query)]
