"""The controller with the chart's own settings and the rights of its account: two of them, as the chart has them."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.cluster.helm import of_kind, rendered
from tests.cluster.pipelines import pipeline_document
from tests.cluster.release import Installed, installation
from tests.cluster.stack.api import KubeApi
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.processes import until
from tests.core.policy_documents import minimal

ROOT = Path(__file__).parents[2]


class Replica:
    """One controller, as its pod would run it."""

    def __init__(self, release: Installed, folder: Path, name: str) -> None:
        folder.mkdir()
        values = {"argocd": {"namespace": release.argocd}, "watchNamespaces": [release.shop]}
        (found,) = of_kind(rendered(release.namespace, values), "ConfigMap")
        self.settings = folder / "rollguard.yaml"
        self.settings.write_text(found["data"]["rollguard.yaml"])
        self.environment = {
            **os.environ,
            "POD_NAME": name,
            "ROLLGUARD_STORE__KUBERNETES__KUBECONFIG": str(release.kubeconfig),
            "ROLLGUARD_STORE__KUBERNETES__CACHE_DIRECTORY": str(folder / "cache"),
            "ROLLGUARD_SERVER__LISTEN": "127.0.0.1:0",
        }
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._command("run")],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "controller", *words, "--settings", str(self.settings)]

    def command(self, *words: str) -> str:
        """Run a command beside it, as ``kubectl exec`` would; returns what it printed."""
        done = subprocess.run(
            self._command(*words), cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def log(self) -> str:
        """What it said."""
        return self._log.read_text()

    def answer(self, path: str) -> int:
        """The status of its web server's answer; 0 while it has none."""
        assert self.process.poll() is None, self.log()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.log())
        return requests.get(found[0] + path, timeout=10).status_code if found else 0

    def end(self) -> int:
        """Ask it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def installed(control_plane: ControlPlane) -> Iterator[Installed]:
    """The chart beside an Argo CD."""
    with installation(control_plane) as release:
        yield release


@pytest.fixture
def start(installed: Installed, tmp_path: Path) -> Iterator[Callable[[str], Replica]]:
    """Starts replicas, which are killed with the test."""
    replicas: list[Replica] = []

    def started(name: str) -> Replica:
        replicas.append(Replica(installed, tmp_path / name, name))
        return replicas[-1]

    yield started
    for each in replicas:
        each.process.kill()
        each.process.wait()


def holder(api: KubeApi, namespace: str) -> str:
    found = api.find("Lease", namespace, "rollguard")
    return str(found["spec"]["holderIdentity"]) if found is not None else ""


def test_two_replicas_run_with_the_charts_rights(
    control_plane: ControlPlane,
    installed: Installed,
    start: Callable[[str], Replica],
) -> None:
    """One leads, both are ready; a policy's status is told, the brake works, the standby takes over; nothing is denied."""
    first = start("first")
    until(lambda: holder(control_plane.api, installed.namespace).startswith("first"), "the first to lead")
    second = start("second")
    for each in (first, second):
        until(lambda each=each: each.answer("/readyz") == 200, "readiness")
        assert each.answer("/healthz") == 200
    control_plane.apply(minimal() | {"metadata": {"name": "checkout", "namespace": installed.shop}})

    def told(reason: str) -> Callable[[dict], bool]:
        return lambda found: any(
            (each["type"], each["reason"]) == ("Ready", reason)
            for each in found.get("status", {}).get("conditions", [])
        )

    control_plane.api.await_object("SLOPolicy", installed.shop, "checkout", told("NoApplication"))
    control_plane.apply(pipeline_document(installed.shop))
    control_plane.api.await_object("PromotionPipeline", installed.shop, "checkout", told("TriggerFails"))
    first.command("pause", "--all", "--until-resumed", "--reason", "incident 4711")
    assert "incident 4711" in control_plane.kubectl("get", "ga", "all", "-n", installed.namespace)
    assert json.loads(first.command("history", "--output", "json")) == {"analyses": []}
    assert first.end() == 0
    until(lambda: holder(control_plane.api, installed.namespace).startswith("second"), "the second to lead")
    broken = minimal()
    broken["spec"]["objectives"][0]["indicator"]["ratio"]["errors"]["metric"] = "sum(((("
    control_plane.apply(broken | {"metadata": {"name": "broken", "namespace": installed.shop}})
    control_plane.api.await_object("SLOPolicy", installed.shop, "broken", told("Invalid"))
    second.command("resume", "--all")
    assert second.end() == 0
    for each in (first, second):
        assert re.findall(r".*(?:cannot|forbidden|denied).*", each.log()) == []
