"""Promotions: how soon a new tag is committed, how many race on one branch, and what a thousand pipelines cost at rest.

A real registry, one real Git repository with a file for each service, the real controller in this process with its SQLite
file; each service has a pipeline of one stage. Goals: from a registry's hint to the pushed commit at most 1 s; twenty
promotions that race on one branch all landed within 10 s, each once; a thousand pipelines that poll every 60 s below 0.2 of
a core. Run: ``python -m benchmarks.promotions`` (``--pipelines 1000``, ``--minutes 3``).
"""

import argparse
import contextlib
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from controller.adapters.store import SqliteStore
from controller.app import Rollguard, build
from controller.core.application import ApplicationKey, Revision
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.inbox import dump_report
from controller.runtime.logs import Redactor
from controller.settings import load_settings
from tests.servers.git import GitRemote, run_git
from tests.servers.images import image
from tests.servers.registry import DockerRegistry

RACING = 20
ROUNDS = 5
GOAL_SECONDS, GOAL_RACE, GOAL_CORES = 1.0, 10.0, 0.2
NAMESPACE = "shop"


class Installation:
    """Services with a pipeline each, and the controller."""

    def __init__(self, folder: Path, registry: DockerRegistry, count: int) -> None:
        self.names = [f"service-{number:04}" for number in range(count)]
        self.folder, self.registry = folder, registry
        self.remote = GitRemote(folder / "manifests.git")
        self.remote.commit({_file(name): f"image:\n  tag: v1.0.0  # of {name}\n" for name in self.names}, "Begin")
        self.running: Rollguard | None = None

    def declare(self, interval: str) -> Path:
        """Write policies, pipelines and settings; returns the settings' file."""
        policies = self.folder / "policies"
        policies.mkdir(exist_ok=True)
        for name in self.names:
            with (policies / f"{name}.yaml").open("w") as file:
                YAML(typ="safe").dump_all(list(self._declared(name, interval)), file)
        settings = {
            "metricsSources": {"default": {"prometheus": {"url": "http://127.0.0.1:9"}}},
            "registries": [{"host": self.registry.host}],
            "applications": [
                {
                    "name": name,
                    "namespace": NAMESPACE,
                    "repository": self.remote.url,
                    "paths": [f"apps/{name}"],
                    "reported": {},
                }
                for name in self.names
            ],
            "store": {"sqlite": str(self.folder / "state.db")},
            "server": {"listen": "127.0.0.1:0"},
        }
        with (self.folder / "rollguard.yaml").open("w") as file:
            YAML(typ="safe").dump(settings, file)
        return self.folder / "rollguard.yaml"

    def _declared(self, name: str, interval: str) -> Iterator[dict[str, Any]]:
        metadata = {"name": name, "namespace": NAMESPACE}
        metric = f'requests_total{{app="{name}"'
        ratio = {"errors": {"metric": metric + ',code="500"}'}, "total": {"metric": metric + "}"}}
        objective = {"name": "availability", "target": "99", "indicator": {"ratio": ratio}}
        head = {"apiVersion": "rollguard.dev/v1alpha1", "metadata": metadata}
        yield head | {
            "kind": "SLOPolicy",
            "spec": {"application": {"name": name}, "objectives": [objective], "analysis": {"interval": "15s"}},
        }
        trigger = {"repository": f"{self.registry.host}/shop/{name}", "tagPattern": r"^v(?P<version>\d+\.\d+\.\d+)$"}
        stage = {
            "name": "dev",
            "application": {"name": name},
            "write": {"updates": [{"file": _file(name), "path": "image.tag"}]},
        }
        yield head | {
            "kind": "PromotionPipeline",
            "spec": {"trigger": {"image": trigger, "interval": interval}, "stages": [stage]},
        }

    def push(self, name: str, tag: str) -> None:
        """A new image of a service."""
        self.registry.push(f"shop/{name}", image(labels={"version": tag, "of": name}), tag=tag)

    def start(self, interval: str) -> None:
        """Start the controller, and tell it what is live."""
        self.running = build(load_settings(self.declare(interval), {}), self.folder / "policies", Redactor())
        self.running.controller.start()
        store = SqliteStore(self.folder / "state.db", create=False)
        head = Revision(self.remote.head())
        for name in self.names:
            key = ApplicationKey(NAMESPACE, name)
            report = SyncReport(key, head, SyncPhase.HEALTHY, time.time())
            store.receive("sync", key, dump_report(report), time.time())
        store.close()
        rollouts = self.running.reconciler.rollouts
        until(lambda: all(each.live is not None for each in rollouts()), "adoption", 600)
        promoter = self.running.promoter
        until(lambda: len(promoter.pipelines()) == len(self.names), "the pipelines", 60)

    def stop(self) -> None:
        """Stop the controller."""
        if self.running is not None:
            self.running.controller.stop()
            self.running = None

    def hint(self, names: set[str]) -> None:
        """The registry tells of new tags."""
        assert self.running is not None
        self.running.promoter.hint(lambda pipeline: pipeline.metadata.name in names)

    def promoted(self) -> list[str]:
        """Subjects of our commits, newest first."""
        listed = run_git("log", "--format=%s", "main", cwd=self.remote.folder).decode().splitlines()
        return [line for line in listed if line.startswith("Promote ")]


def _file(name: str) -> str:
    return f"apps/{name}/values.yaml"


def until(happened: Callable[[], object], what: str, seconds: float) -> float:
    """Wait for something; returns the seconds that it took."""
    begun = time.perf_counter()
    while not happened():
        if time.perf_counter() - begun > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)
    return time.perf_counter() - begun


def soon(site: Installation) -> list[float]:
    """Seconds from the hint about one new tag to the pushed commit, several times."""
    name, found = site.names[0], []
    for number in range(1, ROUNDS + 1):
        site.push(name, f"v1.{number}.0")
        before = len(site.promoted())
        site.hint({name})
        found.append(until(lambda before=before: len(site.promoted()) > before, "the commit", 30))  # type: ignore[misc]
    return found


def race(site: Installation) -> float:
    """Seconds until as many promotions as ``RACING`` have landed on one branch, each once."""
    names = site.names[1 : RACING + 1]
    for name in names:
        site.push(name, "v2.0.0")
    before = len(site.promoted())
    site.hint(set(names))
    took = until(lambda: len(site.promoted()) >= before + len(names), "the race", 120)
    landed = site.promoted()[: len(site.promoted()) - before]
    assert sorted(landed) == sorted(f"Promote {name} 2.0.0 to dev" for name in names), "one was lost, or doubled"
    return took


def cores(seconds: float) -> float:
    """The share of a core that this process, and what it runs, spend while nothing is on its way."""
    begun, before = time.monotonic(), _spent()
    time.sleep(seconds)
    return (_spent() - before) / (time.monotonic() - begun)


def _spent() -> float:
    own, children = os.times(), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.user + own.system + children.ru_utime + children.ru_stime


def main() -> int:
    """Run it; 1 where a goal is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pipelines", type=int, default=1000)
    arguments.add_argument("--minutes", type=float, default=3.0)
    options = arguments.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        registry = stack.enter_context(DockerRegistry(folder))
        site = Installation(folder, registry, options.pipelines)
        for name in site.names:
            site.push(name, "v1.0.0")
        stack.callback(site.stop)
        site.start("60s")
        assert site.running is not None
        promoter = site.running.promoter
        until(lambda: all(progress.known for _, progress in promoter.pipelines()), "a first look at all", 600)
        latencies, raced = soon(site), race(site)
        time.sleep(65.0)
        resting = cores(60 * options.minutes)
    median = statistics.median(latencies)
    rows = {
        "hint to pushed commit, median [s]": (median, GOAL_SECONDS),
        "hint to pushed commit, slowest [s]": (max(latencies), GOAL_SECONDS),
        f"{RACING} promotions racing on one branch [s]": (raced, GOAL_RACE),
        f"{options.pipelines} pipelines polling every 60 s [cores]": (resting, GOAL_CORES),
    }
    for what, (found, goal) in rows.items():
        print(f"  {what:52} ≤ {goal:<5g} {found:8.3f} {'' if found <= goal else 'MISSED'}")
    return int(any(found > goal for found, goal in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
