"""Argo Rollouts' analysis in numbers: one AnalysisRun for each application, with a ratio and a latency.

Invariant: its controller runs as it is released, all controllers on, with its defaults except those that are named.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.cluster.looks import Look
from benchmarks.fleet import INTERVAL
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.parts import program, shared
from tests.cluster.stack.processes import Process, answers, free_port

NAMESPACE = "shop"
RUNS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/analysisruns"
RAISED = ("--qps=1000", "--burst=2000")
_NEVER = 1_000_000
"""Failures after which a run ends."""
_PAGE = 500


def define(control_plane: ControlPlane) -> None:
    """Define its kinds."""
    for path in sorted(shared("rollouts", "crds").glob("*.yaml")):
        control_plane.apply(path)


def controller(control_plane: ControlPlane, folder: Path, *arguments: str) -> Process:
    """Its controller, running."""
    health = free_port()
    command = [
        program("rollouts", "rollouts-controller"),
        f"--kubeconfig={control_plane.kubeconfig}",
        "--leader-elect=false",
        f"--healthzPort={health}",
        f"--metricsPort={free_port()}",
        *arguments,
    ]
    made = Process("rollouts-controller", folder, command)
    made.start(answers(f"http://127.0.0.1:{health}/healthz"))
    return made


def run(application: str, prometheus: str, kept: int) -> dict[str, Any]:
    """An AnalysisRun that goes on until it is stopped, and keeps so many measurements of each metric."""
    of = f'service="{application}"'
    seconds = "http_request_duration_seconds"
    errors = _share(f'http_requests_total{{{of},code=~"5.."}}', f"http_requests_total{{{of}}}")
    quick = _share(f'{seconds}_bucket{{{of},le="0.3"}}', f"{seconds}_count{{{of}}}")
    metrics = [
        _metric("availability", prometheus, errors, "< 0.005"),
        _metric("latency", prometheus, quick, "> 0.99"),
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisRun",
        "metadata": {"name": application, "namespace": NAMESPACE},
        "spec": {"metrics": metrics, "measurementRetention": [{"metricName": ".*", "limit": kept}]},
    }


def _metric(name: str, prometheus: str, query: str, condition: str) -> dict[str, Any]:
    return {
        "name": name,
        "interval": f"{INTERVAL}s",
        "successCondition": f"result[0] {condition}",
        "failureLimit": _NEVER,
        "consecutiveErrorLimit": _NEVER,
        "provider": {"prometheus": {"address": prometheus, "query": query}},
    }


def _share(part: str, whole: str) -> str:
    return f"sum(rate({part}[1m])) / sum(rate({whole}[1m]))"


def measured(control_plane: ControlPlane) -> Iterator[tuple[str, list[Look]]]:
    """Of each metric of each run: its phase and its measurements, as the status has them."""
    parameters: dict[str, Any] = {"limit": _PAGE}
    while True:
        page = control_plane.api.request("GET", RUNS, params=parameters)
        for each in page["items"]:
            for result in each.get("status", {}).get("metricResults", ()):
                yield result["phase"], [_look(found) for found in result.get("measurements", ())]
        following = page["metadata"].get("continue")
        if not following:
            return
        parameters = {"limit": _PAGE, "continue": following}


def _look(found: dict[str, Any]) -> Look:
    began = _unix(found["startedAt"])
    return began, _unix(found["finishedAt"]) if "finishedAt" in found else began


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
