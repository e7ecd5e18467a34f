"""The policy of the documentation's example, and ways to change one field of it."""

import copy
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from controller.core.policy import SLOPolicy
from controller.core.policy_text import explain_errors

RATIO = {
    "errors": {"metric": 'http_requests_total{service="checkout",code=~"5.."}'},
    "total": {"metric": 'http_requests_total{service="checkout"}'},
}
LATENCY = {
    "success": {"metric": 'http_request_duration_seconds_bucket{service="checkout",le="0.3"}'},
    "total": {"metric": 'http_request_duration_seconds_count{service="checkout"}'},
}
EXAMPLE: dict[str, Any] = {
    "apiVersion": "rollguard.dev/v1alpha1",
    "kind": "SLOPolicy",
    "metadata": {"name": "checkout", "namespace": "shop"},
    "spec": {
        "application": {"name": "checkout"},
        "metrics": "default",
        "objectives": [
            {"name": "availability", "target": "99.5", "indicator": {"ratio": RATIO}},
            {"name": "latency", "target": "99", "indicator": {"latency": LATENCY}},
            {
                "name": "memory",
                "indicator": {"gauge": {"query": "max(memory_used_ratio)", "max": 0.9, "ticksInside": "95"}},
            },
            {
                "name": "orders",
                "action": "Alert",
                "indicator": {
                    "gauge": {
                        "query": "sum(rate(orders_total[$window]))",
                        "regression": {"direction": "Down", "tolerance": "20%"},
                    }
                },
            },
            {
                "name": "restarts",
                "indicator": {
                    "events": {
                        "metric": 'kube_pod_container_status_restarts_total{namespace="shop"}',
                        "maxPerHour": 2,
                    }
                },
            },
        ],
        "controls": [
            {
                "name": "rest-of-shop",
                "indicator": {
                    "ratio": {"errors": {"metric": 'x{code="500"}'}, "total": {"metric": 'x{team="shop"}'}}
                },
            }
        ],
        "versionLabel": "auto",
        "analysis": {
            "window": "30m",
            "interval": "auto",
            "warmUp": "60s",
            "baseline": "1h",
            "breachAtBurnRate": 1,
            "minimumWorsening": 1.5,
            "minimumBadEvents": 5,
            "falseRollbackRate": 0.001,
            "falsePassRate": 0.05,
            "onTrafficLoss": "Alert",
        },
        "onBreach": {
            "action": "Rollback",
            "scope": "ApplicationPaths",
            "maxRollbacksPerDay": 3,
            "supersedeWait": "5m",
        },
        "onUnhealthy": {"action": "Alert", "deadline": "15m"},
        "protect": {"paths": ["db/migrations/**"], "kinds": ["PersistentVolumeClaim"]},
        "sharedPaths": {"action": "PullRequest"},
        "landing": {"stuckSync": "Terminate", "syncWhenManual": False},
        "onDrift": "Alert",
        "quarantine": "Alert",
        "mode": "Enforce",
        "alerts": ["on-call"],
    },
}
"""Every field that an owner can write."""

GONE = object()
Path = Sequence[str | int]
FIRST: Path = ("spec", "objectives", 0)
INDICATOR: Path = (*FIRST, "indicator")


def minimal() -> dict[str, Any]:
    """The least that is a policy."""
    return {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "SLOPolicy",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {
            "application": {"name": "checkout"},
            "objectives": [{"name": "availability", "target": "99.5", "indicator": {"ratio": copy.deepcopy(RATIO)}}],
        },
    }


def changed(path: Path, value: Any) -> dict[str, Any]:
    """The minimal policy with one field set, or left out where the value is ``GONE``."""
    document = minimal()
    place: Any = document
    for key in path[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = copy.deepcopy(value)
    return document


def messages(path: Path, value: Any) -> list[str]:
    """What the owner is told about the minimal policy with one field changed; empty: it is valid."""
    try:
        SLOPolicy.model_validate(changed(path, value), by_alias=True, by_name=False)
    except ValidationError as error:
        return [str(each) for each in explain_errors(error)]
    return []


def policy(path: Path = ("spec", "mode"), value: Any = "Enforce") -> SLOPolicy:
    """The minimal policy with one field changed."""
    return SLOPolicy.model_validate(changed(path, value), by_alias=True, by_name=False)
