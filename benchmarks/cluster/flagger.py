"""Flagger in numbers: one Canary for each application, blue/green without a mesh, with two metric templates.

Invariant: Flagger runs as it is released, with its defaults except those that are named; kwok runs the pods.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.fleet import INTERVAL
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.parts import program, shared
from tests.cluster.stack.processes import Process, answers, free_port

NAMESPACE = "shop"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
CANARIES = f"/apis/flagger.app/v1beta1/namespaces/{NAMESPACE}/canaries"
_MANY = 100_000


def define(control_plane: ControlPlane, prometheus: str) -> None:
    """Define its kinds and the two metrics."""
    control_plane.apply(shared("flagger", "crds") / "crd.yaml")
    control_plane.namespace(NAMESPACE)
    requests, seconds = "http_requests_total", "http_request_duration_seconds"
    of = 'service="{{ target }}"'
    window = "[{{ interval }}]"
    for name, part, whole in (
        ("errors", f'{requests}{{{of},code=~"5.."}}', f"{requests}{{{of}}}"),
        ("quick", f'{seconds}_bucket{{{of},le="0.3"}}', f"{seconds}_count{{{of}}}"),
    ):
        query = f"100 * sum(rate({part}{window})) / sum(rate({whole}{window}))"
        spec = {"provider": {"type": "prometheus", "address": prometheus}, "query": query}
        control_plane.apply(_object("flagger.app/v1beta1", "MetricTemplate", name, spec))


def controller(control_plane: ControlPlane, folder: Path, prometheus: str) -> Process:
    """Flagger, running."""
    port = free_port()
    command = [
        program("flagger"),
        f"-kubeconfig={control_plane.kubeconfig}",
        f"-metrics-server={prometheus}",
        "-mesh-provider=kubernetes",
        f"-port={port}",
        "-log-level=info",
    ]
    made = Process("flagger", folder, command)
    made.start(answers(f"http://127.0.0.1:{port}/healthz"))
    return made


def deployment(application: str, version: str) -> dict[str, Any]:
    """What is deployed: one pod."""
    labels = {"app": application}
    container = {"name": "app", "image": f"registry.example.com/app:{version}", "ports": [{"containerPort": 8080}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return _object("apps/v1", "Deployment", application, spec)


def canary(application: str) -> dict[str, Any]:
    """What analyses it, without an end."""
    metrics = [
        {"name": "errors", "templateRef": {"name": "errors"}, "interval": "1m", "thresholdRange": {"max": 0.5}},
        {"name": "quick", "templateRef": {"name": "quick"}, "interval": "1m", "thresholdRange": {"min": 99}},
    ]
    spec = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": application},
        "progressDeadlineSeconds": 3600,
        "service": {"port": 80, "targetPort": 8080},
        "analysis": {"interval": f"{INTERVAL}s", "threshold": _MANY, "iterations": _MANY, "metrics": metrics},
    }
    return _object("flagger.app/v1beta1", "Canary", application, spec)


def standing(control_plane: ControlPlane) -> Iterator[tuple[str, int]]:
    """The phase of each canary, and how many checks it has counted: passed and failed."""
    for each in control_plane.api.request("GET", CANARIES)["items"]:
        status = each.get("status", {})
        yield status.get("phase", ""), status.get("iterations", 0) + status.get("failedChecks", 0)


def running(control_plane: ControlPlane) -> int:
    """Deployments whose pods are all there."""
    return sum(
        each["status"].get("readyReplicas", 0) >= each["spec"]["replicas"]
        and each["status"].get("observedGeneration") == each["metadata"]["generation"]
        for each in control_plane.api.request("GET", DEPLOYMENTS)["items"]
    )


def _object(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
