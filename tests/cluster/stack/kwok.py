"""Nodes and pods without a kubelet: kwok plays one node, and says of each pod what its image's name says.

A pod becomes Ready at once, unless its image's tag holds ``UNREADY`` (it never does) or ``CRASHING`` (its containers
are in CrashLoopBackOff). So a manifest alone decides what becomes of it, as in a real cluster. An admission policy puts
pods on the node, since no scheduler runs.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.parts import program, shared
from tests.cluster.stack.processes import Process, answers, free_port, until

NODE = "node-0"
UNREADY = "unready"
CRASHING = "crashing"


class Kwok:
    """A running kwok with one node; use it as a context manager."""

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._cluster = cluster
        self._port = free_port()
        self._stages = folder / "stages.yaml"
        self._stages.write_text(yaml.safe_dump_all(stages()))
        command = [
            program("kwok"),
            f"--kubeconfig={cluster.kubeconfig}",
            f"--config={self._stages}",
            "--manage-all-nodes=true",
            f"--server-address=127.0.0.1:{self._port}",
        ]
        # It reads a configuration of the user's home, if there is one.
        self.process = Process("kwok", folder, command, {"HOME": str(folder), "KWOK_WORKDIR": str(folder)})

    def start(self) -> None:
        """Start it, and wait until its node is ready and pods are put there."""
        self.process.start(answers(f"http://127.0.0.1:{self._port}/healthz"))
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {"type": "kwok"}}}
        self._cluster.apply(node)
        self._cluster.api.await_condition("Node", None, NODE, "Ready")
        self._cluster.apply(_PLACEMENT)
        until(self._places_pods, "the placement of pods")

    def _places_pods(self) -> bool:
        api = self._cluster.api
        spec = {"containers": [{"name": "probe", "image": "probe"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
        made = api.request("POST", api.path("Pod", "default"), params={"dryRun": "All"}, json=pod)
        return made["spec"].get("nodeName") == NODE

    def stop(self) -> None:
        """End it; the node and its pods stay as they are."""
        self.process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def stages() -> list[dict[str, Any]]:
    """The stages of kwok's own for nodes and pods, and ours before its ``pod-ready``."""
    folder = shared("kwok", "stages")
    found = [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*/*.yaml"))]
    own = [each for each in found if each["kind"] == "Stage"]
    ready = next(each for each in own if each["metadata"]["name"] == "pod-ready")
    for word in (UNREADY, CRASHING):
        ready["spec"]["selector"]["matchExpressions"].append(_image_has(word, "NotIn"))
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}
    return [
        *own,
        _not_ready("pod-unready", UNREADY, "state: {running: {startedAt: {{ $now | Quote }}}}"),
        _not_ready("pod-crashing", CRASHING, f"state: {{waiting: {waiting}}}"),
    ]


def _image_has(word: str, operator: str) -> dict[str, Any]:
    key = f'[.spec.containers[].image | split(":") | last | contains("{word}")] | any'
    return {"key": key, "operator": operator, "values": ["true"]}


def _not_ready(name: str, word: str, state: str) -> dict[str, Any]:
    pending = [
        {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
        {"key": ".status.phase", "operator": "In", "values": ["Pending"]},
    ]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": [*pending, _image_has(word, "In")]},
            "next": {"statusTemplate": _NOT_READY.replace("STATE", state)},
        },
    }


_NOT_READY = """\
{{ $now := Now }}
conditions:
- {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Initialized}
- {lastTransitionTime: {{ $now | Quote }}, status: "False", type: Ready, reason: ContainersNotReady}
- {lastTransitionTime: {{ $now | Quote }}, status: "False", type: ContainersReady, reason: ContainersNotReady}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: false
  restartCount: 0
  STATE
{{ end }}
phase: Running
startTime: {{ $now | Quote }}
"""
_PLACEMENT = f"""\
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {{name: place-pods}}
spec:
  matchConstraints:
    resourceRules: [{{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]
  matchConditions: [{{name: unplaced, expression: "!has(object.spec.nodeName) || object.spec.nodeName == ''"}}]
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations:
    - patchType: ApplyConfiguration
      applyConfiguration: {{expression: 'Object{{spec: Object.spec{{nodeName: "{NODE}"}}}}'}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {{name: place-pods}}
spec: {{policyName: place-pods}}
"""
