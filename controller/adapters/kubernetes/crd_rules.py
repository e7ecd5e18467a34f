"""What the API server checks of a policy beyond types and bounds, as CEL, so that ``kubectl apply`` says it at once.

Invariant: a rule refuses nothing that ``core.policy`` takes (the tests ask both). The reverse does not hold: PromQL, bucket
edges and the like are checked by the controller, which says so in the condition Ready.

Rules stand at the smallest part that has all they look at, because the message names that part. They are short for the
sake of their cost: the API server multiplies it by all objectives that a policy might have.
"""

from collections.abc import Mapping
from typing import Any

from controller.adapters.kubernetes.crd_schema import INT_OR_STRING

_SECONDS = (
    ".findAll('[0-9.]+[a-z]+').map(part, double(part.find('[0-9.]+')) * ("
    "part.endsWith('ms') ? 0.001 : part.endsWith('s') ? 1.0 : part.endsWith('m') ? 60.0 :"
    " part.endsWith('h') ? 3600.0 : part.endsWith('d') ? 86400.0 : 604800.0)).sum()"
)
"""Put behind a duration: its seconds."""
_LABEL_KEY = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_LABEL_VALUE = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
_PERCENT = "^[0-9]{1,6}([.][0-9]{1,10})? ?%?$"
_SHARE_OF = {"pattern": "^(100([.]0{1,10})?|[0-9]{1,2}([.][0-9]{1,10})?) ?%?$", "minimum": 1}
"""Per cent of a whole. A number is a whole one here: the API server knows text or integer, and nothing between."""
_ONLY_TEXT = {"type": "string", "maxLength": 20, "minimum": None, "maximum": None, "anyOf": None, INT_OR_STRING: None}
"""Not a number: rules on what may be either are too costly for as many objectives as a policy may have."""
_NUMBER = "double(self.find('[0-9.]+'))"


def rules(*given: tuple[str, str]) -> dict[str, Any]:
    """Pairs of an expression that must hold, and what is said where it does not."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in given]}


def lasting(shortest: str, least: float, longest: str, most: float) -> dict[str, Any]:
    """A duration between two others."""
    seconds = f"self{_SECONDS}"
    rule = f"[{seconds}].all(seconds, seconds >= {float(least)} && seconds <= {float(most)})"
    return rules((rule, f"must be between {shortest} and {longest}"))


def by_name() -> dict[str, Any]:
    """A list whose items are told apart by their names: no two may have the same."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


_SET = {"x-kubernetes-list-type": "set"}
_ONE_FORM = "has({one}.metric) == has({other}.metric)"
_KINDS = ("ratio", "latency", "latencyNative", "gauge", "events")
_COUNTS = "has(self.indicator.ratio) || has(self.indicator.latency) || has(self.indicator.latencyNative)"
_DAY = ("1d", 86400)

POLICY_RULES: Mapping[str, Mapping[str, Any]] = {
    "PolicySpec": {"required": ["application", "objectives"]},
    "PolicySpec.objectives": by_name(),
    "PolicySpec.controls": by_name(),
    "PolicySpec.alerts": _SET,
    "ApplicationReference": rules(
        (
            "has(self.name) != has(self.selector)",
            "give exactly one of name and selector, for example application: {name: checkout}",
        )
    ),
    "LabelSelector.matchLabels": rules(
        (
            f"self.all(key, key.size() <= 317 && key.matches('{_LABEL_KEY}'))",
            "a key is no key of a label; write for example team: shop",
        )
    ),
    "LabelSelector.matchLabels{}": {"maxLength": 63, "pattern": _LABEL_VALUE},
    "Objective": rules(
        (
            f"has(self.target) || !({_COUNTS})",
            'an objective with a ratio or a latency needs a target; add for example target: "99.5"',
        ),
        (
            f"!has(self.target) || {_COUNTS}",
            "a target is per cent of good events: gauge has ticksInside instead, events has maxPerHour",
        ),
    ),
    "Objective.target": {
        **_ONLY_TEXT,
        "pattern": _PERCENT,
        **rules(
            (
                f"[{_NUMBER}].all(number, number >= 50.0 && number <= 100.0)",
                'a target is per cent of good events, from 50 to 100; write for example "99.5"',
            )
        ),
    },
    "Indicator": rules(
        (
            f"[{', '.join(f'has(self.{kind})' for kind in _KINDS)}].filter(given, given).size() == 1",
            f"an indicator is exactly one of {', '.join(_KINDS)}",
        )
    ),
    "Expression": rules(
        (
            "has(self.metric) != has(self.query)",
            "give exactly one of metric (a selector) and query (an expression over $window)",
        )
    ),
    "Ratio": rules(
        (
            _ONE_FORM.format(one="self.errors", other="self.total"),
            "errors and total are counted over different times; write metric in both, or query in both",
        )
    ),
    "Latency": rules(
        (
            _ONE_FORM.format(one="self.success", other="self.total"),
            "success and total are counted over different times; write metric in both, or query in both",
        )
    ),
    "LatencyNative": rules(
        ("has(self.total.metric)", "total of a native histogram is a metric, not a query; name the histogram")
    ),
    "LatencyNative.threshold": rules(
        ("self.matches('[1-9]')", "must be longer than nothing; write for example 300ms")
    ),
    "Gauge": rules(
        (
            "(has(self.max) || has(self.min)) != has(self.regression)",
            "give a limit (max, min or both) or a regression, and not both",
        ),
        (
            "!has(self.max) || !has(self.min) || self.min < self.max",
            "min is not below max: no value would be inside",
        ),
    ),
    "Gauge.ticksInside": _SHARE_OF,
    "Regression.tolerance": {"pattern": _PERCENT},
    "SharedPaths.quorum": _SHARE_OF,
    "SharedPaths": rules(
        (
            "has(self.quorum) == (self.action == 'Rollback')",
            'quorum goes with action Rollback, and with nothing else; write for example quorum: "50%"',
        )
    ),
    "Protect.paths[]": rules(
        (
            "!self.startsWith('/') && !('..' in self.split('/'))",
            "write a path from the repository's root, such as db/migrations/**",
        )
    ),
    "Analysis": rules(
        (
            f"self.warmUp{_SECONDS} < self.window{_SECONDS}",
            "the warm-up fills the whole window; make warmUp shorter, or window longer",
        ),
        (
            f"self.window{_SECONDS} >= 4.0 * (self.interval == 'auto' ? 15.0 : self.interval{_SECONDS})",
            "window holds fewer than 4 looks; make it longer, or interval shorter (auto is 15s at least)",
        ),
    ),
    "Analysis.window": lasting("4s", 4, *_DAY),
    "Analysis.warmUp": lasting("0s", 0, "1h", 3600),
    "Analysis.interval": rules(
        (
            f"self == 'auto' || [self{_SECONDS}].all(seconds, seconds >= 1.0 && seconds <= 600.0)",
            "must be auto, or between 1s and 10m",
        )
    ),
    "Analysis.baseline": lasting("10s", 10, "7d", 604800),
    "OnBreach.supersedeWait": lasting("0s", 0, *_DAY),
    "OnUnhealthy.deadline": lasting("1s", 1, *_DAY),
}
"""By model, and by model and field."""

CONDITION_LIST: Mapping[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}

GUARDED_RULES: Mapping[str, Mapping[str, Any]] = {
    "GuardedApplicationSpec": rules(
        (
            "!has(oldSelf.application) || (has(self.application) && self.application == oldSelf.application)",
            "the application of an object does not change; make another object",
        )
    ),
}
