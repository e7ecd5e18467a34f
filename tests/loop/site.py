"""A whole site on this machine: real Git, real Prometheus, a shop that behaves as its deployed manifest says.

Invariant: the shop's counters follow from what is deployed and for how long; nothing else decides what is measured.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from ruamel.yaml import YAML

from controller.app import Rollguard, build
from controller.core.application import ApplicationKey
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.runtime.logs import Redactor
from controller.settings import load_settings
from tests.servers.git import GitRemote, run_git
from tests.servers.prometheus import PrometheusServer
from tests.servers.scrape_target import ScrapeTarget

RATE = 60.0
"""Requests a second."""
HISTORY = 600
BASE_SHARE = 0.001
DEADLINE = 60.0


class Shop:
    """Serves the counters of one application; ``deployed`` is the file that a deployment writes."""

    def __init__(self, name: str, deployed: Path, rate: float = RATE) -> None:
        self.name, self._rate = name, rate
        self.deployed = deployed
        self.bad_tags: dict[str, float] = {}
        """The bad share of some image tags, wherever they are deployed here."""
        self._lock = threading.Lock()
        self._at = time.time()
        self._total = rate * HISTORY
        self._bad = BASE_SHARE * rate * HISTORY
        self.target = ScrapeTarget(self._body)

    def share(self) -> float:
        """The bad share of what is deployed."""
        text = self.deployed.read_text() if self.deployed.exists() else ""
        tag = next(
            (
                line.partition(":")[2].partition("#")[0].strip()
                for line in text.splitlines()
                if line.strip().startswith("tag:")
            ),
            "",
        )
        if tag in self.bad_tags:
            return self.bad_tags[tag]
        found = [line.partition(":")[2] for line in text.splitlines() if line.strip().startswith("errorShare:")]
        return float(found[0]) if found else BASE_SHARE

    def totals(self) -> tuple[float, float]:
        """Bad and all requests until now."""
        with self._lock:
            now = time.time()
            served = self._rate * (now - self._at)
            self._total, self._bad, self._at = self._total + served, self._bad + served * self.share(), now
            return self._bad, self._total

    def _body(self) -> str:
        bad, total = self.totals()
        name = f'app="{self.name}"'
        return (
            "# TYPE requests_total counter\n"
            f'requests_total{{{name},code="200"}} {round(total) - round(bad)}\n'
            f'requests_total{{{name},code="500"}} {round(bad)}\n'
        )

    def push_history(self, prometheus: PrometheusServer) -> None:
        """Store the ten minutes before, as if they had been scraped."""
        end = int(self._at)
        series = []
        for code, final in (("200", self._total - self._bad), ("500", self._bad)):
            labels = {
                "__name__": "requests_total",
                "app": self.name,
                "code": code,
                "instance": self.target.address,
                "job": "test",
            }
            samples = [(end - HISTORY + step, float(round(final * step / HISTORY))) for step in range(HISTORY)]
            series.append((labels, samples))
        prometheus.push(series)


def policy(name: str, **changes: Any) -> dict[str, Any]:
    """A policy of short windows for one application."""
    metric = f'requests_total{{app="{name}"'
    ratio = {"errors": {"metric": metric + ',code="500"}'}, "total": {"metric": metric + "}"}}
    analysis = {"window": "20s", "interval": "1s", "warmUp": "2s", "baseline": "5m"}
    spec: dict[str, Any] = {
        "application": {"name": name},
        "objectives": [{"name": "availability", "target": "99", "indicator": {"ratio": ratio}}],
        "analysis": analysis | changes.pop("analysis", {}),
    }
    return {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "SLOPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec | changes,
    }


def copied(site: "Site", names: Sequence[str]) -> list[dict[str, Any]]:
    """Applications for the settings: of each, its values are copied to where its shop looks."""
    return [
        {
            "name": name,
            "namespace": "shop",
            "repository": site.url,
            "paths": [f"apps/{name}"],
            "reconcile": {
                "command": ["/bin/cp", f"apps/{name}/values.yaml", str(site.shops[name].deployed)],
                "interval": "300ms",
            },
        }
        for name in names
    ]


def write_yaml(path: Path, *documents: object) -> Path:
    """Write documents to a YAML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        YAML(typ="safe").dump_all(documents, file)
    return path


def until(happened: Callable[[], object], what: str, deadline: float = DEADLINE, log: Path | None = None) -> Any:
    """Wait until something outside has happened; returns what ``happened`` returned. ``log`` is shown if it has not."""
    end = time.monotonic() + deadline
    while not (found := happened()):
        if time.monotonic() > end:
            said = log.read_text()[-8000:] if log is not None else ""
            raise TimeoutError(f"{what} did not happen within {deadline:g} s\n{said}")
        time.sleep(0.05)
    return found


class Site:
    """One repository and some applications, each with a shop; ``start`` runs the controller in this process."""

    def __init__(
        self,
        folder: Path,
        prometheus: PrometheusServer,
        names: Sequence[str] = ("checkout",),
        url: str | None = None,
        rate: float = RATE,
    ) -> None:
        self.folder = folder
        self.prometheus = prometheus
        self.names = tuple(names)
        self.remote = GitRemote(folder / "manifests.git")
        self.remote.commit({f"apps/{name}/app.yaml": manifest("one") for name in names}, "Begin")
        self.url = url or self.remote.url
        mark = uuid4().hex[:8]
        self.shops = {name: Shop(f"{name}-{mark}", folder / f"deployed-{name}", rate) for name in names}
        self.policies = folder / "policies"
        for name in names:
            self.declare(name)
        self.extra: dict[str, Any] = {}
        self.running: Rollguard | None = None

    def declare(self, name: str, **changes: Any) -> None:
        """Write the policy of an application."""
        document = policy(self.shops[name].name, **changes)
        document["metadata"]["name"] = name
        document["spec"]["application"] = {"name": name}
        write_yaml(self.policies / f"{name}.yaml", document)

    def settings(self) -> Path:
        """Write the settings."""
        applications = [
            {
                "name": name,
                "namespace": "shop",
                "repository": self.url,
                "paths": [f"apps/{name}"],
                "reconcile": {
                    "command": ["/bin/cp", f"apps/{name}/app.yaml", str(shop.deployed)],
                    "interval": "500ms",
                },
            }
            for name, shop in self.shops.items()
        ]
        declared: dict[str, Any] = {
            "metricsSources": {"default": {"prometheus": {"url": self.prometheus.url}}},
            "applications": applications,
            "store": {"sqlite": str(self.folder / "state" / "state.db")},
            "server": {"listen": "127.0.0.1:0"},
        }
        return write_yaml(self.folder / "rollguard.yaml", declared | self.extra)

    def run(self, clock: Clock | None = None) -> Rollguard:
        """Start the controller."""
        self.running = made = build(load_settings(self.settings(), {}), self.policies, Redactor(), clock)
        made.controller.start()
        return made

    def start(self, clock: Clock | None = None) -> "Site":
        """Start the controller, and wait until every application is adopted."""
        self.run(clock)
        until(lambda: all(self.rollout(name).good for name in self.names), "adoption")
        return self

    def stop(self) -> None:
        """Stop the controller in order."""
        if self.running is not None:
            self.running.controller.stop()
            self.running = None

    def close(self) -> None:
        """Stop everything that this site started."""
        self.stop()
        for shop in self.shops.values():
            shop.target.close()

    def rollout(self, name: str = "checkout") -> Rollout:
        """The state of an application."""
        assert self.running is not None
        return self.running.reconciler.rollout(ApplicationKey("shop", name))

    def commit(self, version: str, share: float = BASE_SHARE, name: str = "checkout", **more: Any) -> str:
        """Push a version that serves this share of errors."""
        return self.remote.commit({f"apps/{name}/app.yaml": manifest(version, share)}, f"Deploy {version}", **more)

    def restores(self, name: str = "checkout") -> list[str]:
        """Our commits in the branch, newest first."""
        listed = run_git("log", "--format=%H %s", "main", cwd=self.remote.folder).decode().splitlines()
        return [line.split()[0] for line in listed if f" Roll back {name} " in line]


def manifest(version: str, share: float = BASE_SHARE) -> str:
    """An application's manifest."""
    return (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\n"
        f"spec:\n  version: {version}\n  errorShare: {share}\n"
    )
