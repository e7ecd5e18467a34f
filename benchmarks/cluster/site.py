"""An API server with many Argo CD Applications, a repository for each team, policies by selector, and the real controller.

Invariant: what is measured here costs the controller nothing but an answer now and then.
"""

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.cluster.applications import API_VERSION, HISTORY, NAMESPACE, App, deployed, document, size
from benchmarks.fleet import policy
from benchmarks.installation import free_port, manifest
from controller.adapters.kubernetes.crds import definitions
from tests.cluster.stack.api import ApiError
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.parts import shared
from tests.servers.git import GitRemote

ROOT = Path(__file__).parents[2]
OWN = "rollguard"
TEAMS = 5
CLIENTS = 4
LEASE = 15
APPLICATIONS = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/applications"
AS_IN_THE_IMAGE = {"MALLOC_ARENA_MAX": "2"}
"""What the Dockerfile sets that changes what is measured."""
_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")


class Cluster:
    """The applications and what guards them, without a controller."""

    def __init__(self, control_plane: ControlPlane, folder: Path, prometheus: str, number: int) -> None:
        self.control_plane = control_plane
        self.folder = folder
        self.prometheus = prometheus
        teams = [f"team-{index}" for index in range(TEAMS)]
        self.remotes = {team: GitRemote(folder / f"{team}.git") for team in teams}
        self.apps = [
            App(f"app-{index:05}", team, self.remotes[team].url)
            for index, team in zip(range(number), itertools.cycle(teams), strict=False)
        ]
        self._deployments = HISTORY

    def fill(self) -> float:
        """Define, commit and create everything; returns seconds."""
        begun = time.monotonic()
        if self._is_filled():
            return self._warmed()
        for path in sorted(shared("control", "crds").glob("*.yaml")):
            self.control_plane.apply(path)
        for each in definitions():
            self.control_plane.apply(each)
        for name in (NAMESPACE, OWN, *self.remotes):
            self.control_plane.namespace(name)
        now, revisions = time.time(), self._commit(self.apps, "one")
        documents = (document(app, revisions[app.team], now) for app in self.apps)
        print(f"  an Application as it is sent: {size(document(self.apps[0], '0' * 40, now))} bytes")
        send_all(self.control_plane, "POST", ((APPLICATIONS, made) for made in documents))
        for team in self.remotes:
            made = policy(
                "all", "{{application}}", {"selector": {"matchLabels": {"team": team}}, "namespace": NAMESPACE}
            )
            made["metadata"]["namespace"] = team
            self.control_plane.apply(made)
        return time.monotonic() - begun

    def _is_filled(self) -> bool:
        """Whether an earlier run has left it all in the folder."""
        with contextlib.suppress(ApiError):
            listed = self.control_plane.api.request("GET", APPLICATIONS, params={"limit": 1})
            return 1 + int(listed["metadata"].get("remainingItemCount", 0)) == len(self.apps)
        return False

    def _warmed(self) -> float:
        """Wait until an API server that was started anew has read all Applications into its cache."""
        begun = time.monotonic()
        while True:
            with contextlib.suppress(ApiError):
                self.control_plane.api.request("GET", APPLICATIONS, params={"resourceVersion": "0"})
                return time.monotonic() - begun
            time.sleep(5.0)

    def deploy(self, apps: list[App], version: str) -> float:
        """Commit a version of some applications, and have it deployed and healthy; returns the seconds that it took."""
        begun, at = time.monotonic(), time.time()
        revisions = self._commit(apps, version)
        self._deployments += 1
        changes = (
            (
                f"{APPLICATIONS}/{app.name}",
                {"status": deployed(app, revisions[app.team], at, self._deployments, at + 5)},
            )
            for app in apps
        )
        send_all(self.control_plane, "PATCH", changes)
        return time.monotonic() - begun

    def _commit(self, apps: list[App], version: str) -> dict[str, str]:
        return {
            team: remote.commit(
                {f"{each.path}/app.yaml": manifest(each.name, version) for each in apps if each.team == team}, version
            )
            for team, remote in self.remotes.items()
        }

    def objects(self, kind: str) -> int:
        """How many objects of a kind (by plural) are in Rollguard's namespace or in all; counted by the server."""
        path = {
            "guardedapplications": f"/apis/rollguard.dev/v1alpha1/namespaces/{OWN}/guardedapplications",
            "syncanalyses": "/apis/rollguard.dev/v1alpha1/syncanalyses",
        }[kind]
        found = self.control_plane.api.request("GET", path, params={"limit": 1})
        return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))

    def settings(self, name: str, port: int) -> Path:
        """Write a controller's settings."""
        made = {
            "metricsSources": {"default": {"prometheus": {"url": self.prometheus}}},
            "repositories": [{"url": each.url} for each in self.remotes.values()],
            "store": {
                "kubernetes": {
                    "namespace": OWN,
                    "kubeconfig": str(self.control_plane.kubeconfig),
                    "cacheDirectory": str(self.folder / f"cache-{name}"),
                    "lease": f"{LEASE}s",
                }
            },
            "server": {"listen": f"127.0.0.1:{port}"},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(made))
        return path


class Replica:
    """A controller in a process of its own."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        self._port = free_port()
        self._log = cluster.folder / f"{name}.log"
        settings = cluster.settings(name, self._port)
        self.begun = time.monotonic()
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [*_WITH_PARENT, sys.executable, "-m", "controller", "run", "--settings", str(settings)],
                cwd=ROOT,
                env=os.environ | AS_IN_THE_IMAGE,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def log(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace")

    def said(self, event: str) -> float | None:
        """When it first said something, Unix seconds; None: it did not yet."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended: {self.log()[-3000:]}")
        for line in self.log().splitlines():
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if told.get("event") == event:
                    return _unix(told["timestamp"])
        return None

    def metrics(self) -> dict[str, float]:
        """Its own metrics, by name and labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=60) as response:
            text: str = response.read().decode()
        return {
            each.name + "".join(f"|{value}" for value in each.labels.values()): each.value
            for family in text_string_to_metric_families(text)
            for each in family.samples
            if each.name.startswith("rollguard_")
        }

    def looks(self) -> dict[float, float]:
        """Looks by the upper bounds of their lateness."""
        begins = "rollguard_look_lateness_seconds_bucket|"
        return {float(k.removeprefix(begins)): v for k, v in self.metrics().items() if k.startswith(begins)}

    def stop(self) -> None:
        """End it in order."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def kill(self) -> float:
        """End it as a crash does; returns when, Unix seconds."""
        self.process.kill()
        at = time.time()
        self.process.wait(30)
        return at


@contextlib.contextmanager
def replica(cluster: Cluster, name: str) -> Iterator[Replica]:
    """A controller that runs; its log is shown where something goes wrong."""
    made = Replica(cluster, name)
    try:
        yield made
    except BaseException:
        print(made.log()[-4000:], file=sys.stderr)
        raise
    finally:
        made.stop()


def send_all(control_plane: ControlPlane, method: str, requests: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Send many requests, each a path and a body, by a few clients; a PATCH is a merge patch."""
    local = threading.local()
    headers = {"Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json"}

    def send(request: tuple[str, dict[str, Any]]) -> None:
        if not hasattr(local, "client"):
            local.client = control_plane.client(control_plane.token)
        local.client.request(method, request[0], headers=headers, data=json.dumps(request[1]))

    with ThreadPoolExecutor(CLIENTS) as pool:
        for chunk in _chunks(requests, 200):  # so that not all of them are made before the first is sent
            list(pool.map(send, chunk))


def _chunks(items: Iterable[Any], number: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, number)):
        yield chunk


def _unix(text: str) -> float:
    return datetime.fromisoformat(re.sub(r"Z$", "+00:00", text)).timestamp()
