"""The line that begins a trace: its name, its policy, and when what happened.

A trace's policy may leave out what only the controller needs: the application, and the metrics of its indicators.
Placeholders stand in for them before the policy is validated, so that everything else is checked as always.

Invariant: the policy of a trace is a valid one, and its ticks are as long as the recording's.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from pydantic import ValidationError

from controller.core.durations import format_duration
from controller.core.indicators import SHARE_KINDS, Indicator, texts_of
from controller.core.policy import LEAST_LOOKS, Objective, PolicySpec
from controller.core.policy_text import explain_errors
from controller.core.traces.lines import FURTHEST, Fields, TraceError, check_names, checked_number, number_in, text_in

FIELDS = ("trace", "policy", "interval", "syncs", "healthy_at", "until")
SHORTEST_TICK, LONGEST_TICK = 1.0, 3600.0
LONGEST_NAME = 1000
MOST_SYNCS = 1000
_MOST_MESSAGES = 5

_METRICS: dict[str, dict[str, Any]] = {
    "ratio": {"errors": {"metric": "trace_errors"}, "total": {"metric": "trace_total"}},
    "latency": {"success": {"metric": 'trace_bucket{le="1"}'}, "total": {"metric": "trace_count"}},
    "latencyNative": {"threshold": "1s", "total": {"metric": "trace"}},
    "gauge": {"query": "trace"},
    "events": {"metric": "trace_total"},
}
"""What stands for the metrics of each kind."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a trace says of itself; times are seconds since the start of the first sync."""

    line: int
    name: str
    policy: PolicySpec
    interval: float
    """Seconds of a tick."""
    syncs: tuple[float, ...]
    """Starts of the chain's syncs, rising; the first is 0."""
    healthy_at: float | None
    """Trusted Healthy; None: never."""
    until: float | None
    """End of the recording; None: its last tick."""


def header_of(fields: Fields, number: int, policy: PolicySpec | None) -> Header:
    """The header that a line holds.

    Args:
        fields: the line's object.
        number: the line's number.
        policy: judges in place of the trace's own policy.

    Raises:
        TraceError: it is broken.
    """
    check_names(fields, FIELDS, "a header", number)
    name = text_in(fields, "trace", number, LONGEST_NAME)
    own = _own_policy(fields, number)
    rules = policy or own
    if rules is None:
        raise TraceError(number, "the trace has no policy; add one to the header, or give --policy")
    interval = number_in(fields, "interval", number, least=SHORTEST_TICK, most=LONGEST_TICK)
    if rules.analysis.window < LEAST_LOOKS * interval:
        window = format_duration(rules.analysis.window)
        raise TraceError(
            number, f"a window of {window} holds fewer than {LEAST_LOOKS} ticks of {interval:g} s; make it longer"
        )
    return Header(
        number, name, rules, interval, _syncs(fields, number), _healthy_at(fields, number), _until(fields, number)
    )


def _syncs(fields: Fields, number: int) -> tuple[float, ...]:
    given = fields.get("syncs", [0])
    if not isinstance(given, list) or not 0 < len(given) <= MOST_SYNCS:
        raise TraceError(number, f"syncs must be a list of 1 to {MOST_SYNCS} starts, such as [0, 75]")
    found = tuple(checked_number(each, "a start in syncs", number, least=0, most=FURTHEST) for each in given)
    if found[0] != 0:
        raise TraceError(number, f"the first of syncs is {found[0]:g}, and must be 0: times count from its start")
    if any(later <= earlier for earlier, later in pairwise(found)):
        raise TraceError(number, "syncs must rise")
    return found


def _healthy_at(fields: Fields, number: int) -> float | None:
    value = fields.get("healthy_at", 0)
    return None if value is None else checked_number(value, "healthy_at", number, least=0, most=FURTHEST)


def _until(fields: Fields, number: int) -> float | None:
    return number_in(fields, "until", number, least=0) if "until" in fields else None


def _own_policy(fields: Fields, number: int) -> PolicySpec | None:
    if "policy" not in fields:
        return None
    try:
        return _remembered_policy(json.dumps(fields["policy"]))
    except ValidationError as error:
        messages = [str(each) for each in explain_errors(error, PolicySpec)]
        more = f"; and {len(messages) - _MOST_MESSAGES} more" if len(messages) > _MOST_MESSAGES else ""
        raise TraceError(number, f"policy: {'; '.join(messages[:_MOST_MESSAGES])}{more}") from None


@lru_cache(maxsize=64)
def _remembered_policy(text: str) -> PolicySpec:
    """Most traces of a file share a policy."""
    return trace_policy(json.loads(text))


def trace_policy(declared: object) -> PolicySpec:
    """A policy as a trace may have it: the declaration itself, with or without application and metrics.

    Raises:
        ValidationError: something else is wrong with it.
    """
    return for_traces(PolicySpec.model_validate(_filled(declared), by_alias=True, by_name=False))


def for_traces(policy: PolicySpec) -> PolicySpec:
    """The policy, with every objective counted tick by tick: a recording has no ``$window``."""
    return policy.model_copy(update={"objectives": tuple(_counted(each) for each in policy.objectives)})


def _counted(objective: Objective) -> Objective:
    kind = objective.indicator.kind
    own = any(path.endswith(".query") for path, _ in texts_of(objective.indicator))
    if kind not in SHARE_KINDS or not own:
        return objective
    return objective.model_copy(update={"indicator": Indicator.model_validate({kind.value: _METRICS[kind.value]})})


def _filled(declared: object) -> object:
    """The declaration, with placeholders where metrics are left out."""
    if not isinstance(declared, dict):
        return declared
    filled = dict(declared)
    if isinstance(declared.get("objectives"), list):
        filled["objectives"] = [_filled_part(each) for each in declared["objectives"]]
    if isinstance(declared.get("controls"), list):
        filled["controls"] = [_filled_part(each, "ratio") for each in declared["controls"]]
    return filled


def _filled_part(part: object, always: str | None = None) -> object:
    """An objective or a control; ``always`` is the kind of indicator where there can be no other."""
    if not isinstance(part, dict):
        return part
    indicator = part.get("indicator", {always: {}} if always else None)
    if not isinstance(indicator, dict):
        return part
    return {**part, "indicator": {kind: _filled_kind(kind, value) for kind, value in indicator.items()}}


def _filled_kind(kind: str, given: object) -> object:
    """The expressions of an indicator belong together: where one is left out, placeholders stand for all of them."""
    standing = _METRICS.get(kind)
    if standing is None or not isinstance(given, dict):
        return given
    kept = {name: value for name, value in given.items() if name not in standing or value not in (None, {})}
    if any(isinstance(placeholder, dict) and name not in kept for name, placeholder in standing.items()):
        kept = {name: value for name, value in kept.items() if name not in standing or not _is_expression(value)}
    return {**standing, **kept}


def _is_expression(value: object) -> bool:
    return isinstance(value, dict) and set(value) <= {"metric", "query"}
