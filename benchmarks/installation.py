"""A repository of many applications and the real controller over it, watched from outside.

Invariant: what is measured here costs the controller nothing but an answer now and then: CPU comes from the process
table, the state from its file, queries from Prometheus' own count.
"""

import contextlib
import ctypes
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from benchmarks.fleet import policy
from controller.adapters.store import SqliteStore
from controller.core.application import ApplicationKey, Revision
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.inbox import dump_report
from tests.servers.git import GitRemote
from tests.servers.prometheus import PrometheusServer

NAMESPACE = "shop"
MEGABYTE = 1e6
_PARENT_DEATH_SIGNAL = 1


def manifest(name: str, version: str) -> str:
    """An application's manifest."""
    return f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{version: {version}}}\n"


def write_yaml(path: Path, *documents: object) -> None:
    """Write documents to a YAML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        YAML(typ="safe").dump_all(documents, file)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Sample:
    """What is known of the controller at one moment."""

    at: float
    cpu: float
    """Seconds, without the Git processes that it runs."""
    queries: float
    """Requests that Prometheus has answered."""
    looks: float
    late: dict[float, float]
    """Looks by the upper bounds of their lateness."""
    failures: float
    """Queries without an answer."""


class Installation:
    """The repository, Prometheus and the controller."""

    def __init__(self, folder: Path, prometheus: PrometheusServer, names: list[str], *, by_selector: bool) -> None:
        self.folder = folder
        self.names = names
        self._prometheus = prometheus
        self.remote = GitRemote(folder / "manifests.git")
        self._port = free_port()
        self._write_settings()
        self._write_policies(by_selector=by_selector)
        self.database = folder / "state" / "state.db"
        self.process: psutil.Popen | None = None

    def _write_settings(self) -> None:
        applications = [
            {
                "name": name,
                "namespace": NAMESPACE,
                "repository": self.remote.url,
                "paths": [f"apps/{name}"],
                "labels": {"team": "shop"},
                "reported": {},
            }
            for name in self.names
        ]
        settings = {
            "metricsSources": {"default": {"prometheus": {"url": self._prometheus.url}}},
            "applications": applications,
            "store": {"sqlite": str(self.folder / "state" / "state.db")},
            "server": {"listen": f"127.0.0.1:{self._port}"},
        }
        write_yaml(self.folder / "rollguard.yaml", settings)

    def _write_policies(self, *, by_selector: bool) -> None:
        folder = self.folder / "policies"
        if by_selector:
            write_yaml(
                folder / "all.yaml", policy("all", "{{application}}", {"selector": {"matchLabels": {"team": "shop"}}})
            )
            return
        for name in self.names:
            write_yaml(folder / f"{name}.yaml", policy(name, name, {"name": name}))

    @contextlib.contextmanager
    def controller(self) -> Iterator[None]:
        """Run it."""
        command = [sys.executable, "-m", "controller", "run", "--settings", str(self.folder / "rollguard.yaml")]
        log = self.folder / "controller.log"
        with log.open("wb") as out:
            self.process = psutil.Popen(
                [*command, "--policies", str(self.folder / "policies")],
                stdout=out,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )
        try:
            yield
        except Exception:
            print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
            raise
        finally:
            self.process.terminate()
            self.process.wait(60)

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=60) as response:
            text: str = response.read().decode()
        return text

    def ready(self) -> bool:
        """Whether it answers that it is."""
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError("the controller has ended")
        try:
            return bool(self._get("/readyz"))
        except OSError:
            return False

    def metrics(self, prefix: str = "rollguard_") -> dict[str, float]:
        """Its own metrics, by name and labels."""
        return {
            each.name + "".join(f"|{value}" for value in each.labels.values()): each.value
            for family in text_string_to_metric_families(self._get("/metrics"))
            for each in family.samples
            if each.name.startswith(prefix)
        }

    def sample(self) -> Sample:
        """How it is now."""
        assert self.process is not None
        own, spent = self.metrics("rollguard_"), self.process.cpu_times()
        bounds = {
            float(k.partition("|")[2]): v for k, v in own.items() if k.startswith("rollguard_look_lateness_seconds_b")
        }
        return Sample(
            time.monotonic(),
            spent.user + spent.system,
            self._answered(),
            own["rollguard_look_lateness_seconds_count"],
            bounds,
            sum(v for k, v in own.items() if k.startswith("rollguard_query_failures_total")),
        )

    def _answered(self) -> float:
        with urllib.request.urlopen(f"{self._prometheus.url}/metrics", timeout=60) as response:
            text = response.read().decode()
        found = re.findall(
            r'^prometheus_http_requests_total\{.*handler="/api/v1/query(?:_range)?".*\} (\S+)', text, re.MULTILINE
        )
        return sum(map(float, found))

    def memory(self) -> float:
        """The most memory that it ever had, in MB."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024 / MEGABYTE

    def resident(self) -> float:
        """The memory that it has, in MB."""
        assert self.process is not None
        return float(self.process.memory_info().rss) / MEGABYTE

    def deploy(self, version: str) -> None:
        """Commit a version of every application, and report it as deployed."""
        revision = self.remote.commit({f"apps/{n}/app.yaml": manifest(n, version) for n in self.names}, version)
        store = SqliteStore(self.database, create=False)
        at = time.time()
        for name in self.names:
            report = SyncReport(
                ApplicationKey(NAMESPACE, name), Revision(revision), SyncPhase.HEALTHY, at, None, "", only=True
            )
            store.receive("sync", report.application, dump_report(report), at)
        store.close()

    def bodies(self) -> list[dict[str, Any]]:
        """What is stored of every application."""
        store = SqliteStore(self.database, create=False)
        found = [json.loads(each.body)["rollout"] for each in store.rollouts()]
        store.close()
        return found

    def adopted(self) -> bool:
        """Whether a first version of every application is known."""
        found = self.bodies()
        return len(found) == len(self.names) and all("good" in each for each in found)

    def measured(self) -> int:
        """How many applications have a reference."""
        return sum("reference" in each.get("analysis", {}) for each in self.bodies())


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
