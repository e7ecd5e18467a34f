"""The same work done by Rollguard, Argo Rollouts and Flagger: many applications analysed at once, two queries each.

Each has an API server (etcd, kube-apiserver, kube-controller-manager) and a Prometheus of its own with the same series;
every application is to be looked at every 15 s, by one replica. Nothing has a goal here: it is a comparison.

    rollguard        its analysis of deployed Applications, as in cluster_scale
    rollouts         Argo Rollouts: one AnalysisRun for each application, two Prometheus metrics
    rollouts-raised  the same with --qps=1000 --burst=2000
    flagger          Flagger: one blue/green Canary for each, two metric templates; idle first, then analysing

Run: ``python -m benchmarks.cluster_peers`` (all of them), or some by name; ``--applications 300``, ``--minutes 2``. Needs
the programs of ``make cluster-stack`` and of ``tests/servers/build_cluster.sh peers``.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import cluster_scale
from benchmarks.cluster import flagger, rollouts
from benchmarks.cluster.looks import kept
from benchmarks.cluster.site import Cluster, send_all
from benchmarks.cluster.spent import Spent, most_resident
from benchmarks.cluster.traffic import Traffic
from benchmarks.cluster_scale import kept_alive, say, until
from benchmarks.fleet import INTERVAL, Fleet
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.kwok import Kwok
from tests.cluster.stack.parts import missing
from tests.cluster.stack.processes import Process
from tests.servers.prometheus import PrometheusServer

HISTORY = 600
RESTING = 20.0
SETTLING = 5.0
"""Seconds in which the last look of a stretch gets into its status."""
MANAGER = {"kube-api-qps": 200, "kube-api-burst": 400}
"""So that making the pods takes minutes and not half an hour; it is not what is measured."""


@dataclass(frozen=True)
class Stretch:
    """What was spent and asked over some seconds."""

    begin: float
    end: float
    cores: dict[str, float]
    asked: Traffic


@dataclass
class Peers:
    """Where one tool is measured."""

    control_plane: ControlPlane
    prometheus: PrometheusServer
    folder: Path
    options: argparse.Namespace
    lines: list[tuple[str, float, str]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The applications."""
        return [f"app-{index:05}" for index in range(self.options.applications)]

    @property
    def rounds(self) -> int:
        """How many looks each owes while it is watched."""
        return max(2, round(self.options.minutes * 60 / INTERVAL))

    def note(self, what: str, measured: float, unit: str) -> None:
        """Take a figure down."""
        self.lines.append((what, measured, unit))
        say(f"{what}: {measured:.3f} {unit}")

    def asked(self) -> Traffic:
        """What the API server and Prometheus have been asked."""
        return Traffic.now(self.control_plane.api, self.prometheus.url)

    def stretch(self, seconds: float, tool: Process | None = None) -> Stretch:
        """Let time pass, and see what it cost."""
        processes = {"API server": self.control_plane.api_server.pid, "etcd": self.control_plane.etcd.pid}
        if tool is not None:
            processes["controller"] = tool.pid
        asked, spent, begin = self.asked(), Spent.now(processes), time.time()
        time.sleep(seconds)
        end, cores = time.time(), Spent.now(processes).cores(spent)
        return Stretch(begin, end, cores, self.asked().since(asked))

    def cost(self, tool: Process, found: Stretch, resting: Stretch, done: float) -> None:
        """Take down what a stretch cost; ``done`` applications were looked at in it, each look counted."""
        seconds = found.end - found.begin
        self.note("controller", found.cores["controller"], "cores")
        self.note("CPU of one application's look", 1000 * found.cores["controller"] * seconds / max(done, 1), "ms")
        self.note("memory at its most", most_resident(tool.pid), "MB")
        for name in ("API server", "etcd"):
            self.note(f"{name}, beside what it spends idle", found.cores[name] - resting.cores[name], "cores")
        caused = found.asked.rate - resting.asked.rate
        self.note("requests to the API server", caused, "/s")
        self.note("requests to the API server, each application and look", caused * seconds / max(done, 1), "")
        self.note("Prometheus queries", found.asked.queries * INTERVAL / seconds, "/round")


@contextlib.contextmanager
def served(peers: Peers) -> Iterator[None]:
    """Have the applications' series in Prometheus, as they pass."""
    fleet = Fleet(peers.names)
    last = int(time.time()) // INTERVAL * INTERVAL
    fleet.push(peers.prometheus, range(last - HISTORY, last, INTERVAL))
    with kept_alive(fleet, peers.prometheus, last):
        yield
    fleet.close()


def with_rollouts(peers: Peers, *arguments: str) -> None:
    """Argo Rollouts."""
    plane, rounds = peers.control_plane, peers.rounds
    rollouts.define(plane)
    plane.namespace(rollouts.NAMESPACE)
    resting = peers.stretch(RESTING)
    with served(peers):
        tool = rollouts.controller(plane, peers.folder, *arguments)
        begun = time.monotonic()
        made = (rollouts.run(name, peers.prometheus.url, rounds + 10) for name in peers.names)
        send_all(plane, "POST", ((rollouts.RUNS, each) for each in made))
        say(f"{len(peers.names)} AnalysisRuns made within {time.monotonic() - begun:.0f} s")
        time.sleep(3 * INTERVAL)
        found = peers.stretch(rounds * INTERVAL, tool)
        time.sleep(SETTLING)
        series = [looks for phase, looks in rollouts.measured(plane) if phase == "Running"]
        peers.cost(tool, found, resting, found.asked.queries / 2)
        tool.stop()
    owed = 2 * len(peers.names) * rounds
    looks = kept(series, found.begin, found.end, INTERVAL)
    peers.note("metrics that are looked at, of all", 50 * len(series) / len(peers.names), "%")
    peers.note("looks in the status, of all that are due", 100 * looks.begun / owed, "%")
    peers.note("looks no later than one interval, of all that are due", 100 * looks.in_time / owed, "%")
    lost = found.asked.queries - looks.found
    peers.note("looks that Prometheus answered and no status holds", 100 * lost / max(found.asked.queries, 1), "%")


def with_flagger(peers: Peers) -> None:
    """Flagger."""
    plane, names = peers.control_plane, peers.names
    with Kwok(plane, peers.folder / "kwok"), served(peers):
        flagger.define(plane, peers.prometheus.url)
        made = (flagger.deployment(name, "one") for name in names)
        send_all(plane, "POST", ((flagger.DEPLOYMENTS, each) for each in made))
        until(lambda: flagger.running(plane) >= len(names), "pods", peers.options.patience, 2.0)
        time.sleep(SETTLING)
        resting = peers.stretch(RESTING)
        tool = flagger.controller(plane, peers.folder, peers.prometheus.url)
        send_all(plane, "POST", ((flagger.CANARIES, flagger.canary(name)) for name in names))
        taken = until(lambda: _phases(peers, "Initialized"), "initialised canaries", peers.options.patience, 10.0)
        peers.note("until all canaries are initialised", taken, "s")
        time.sleep(INTERVAL)
        _ticking(peers, tool, resting)
        changes = ({"spec": {"template": flagger.deployment(name, "two")["spec"]["template"]}} for name in names)
        send_all(plane, "PATCH", zip((f"{flagger.DEPLOYMENTS}/{name}" for name in names), changes, strict=True))
        taken = until(lambda: _phases(peers, "Progressing", 1), "canaries in analysis", peers.options.patience, 10.0)
        peers.note("until all canaries have had a check", taken, "s")
        _checking(peers, tool, resting)
        tool.stop()


def _phases(peers: Peers, phase: str, checks: int = 0) -> bool:
    """Whether nearly all canaries are in a phase, and have counted so many checks; a few that are stuck are let be."""
    there = sum(found == phase and counted >= checks for found, counted in flagger.standing(peers.control_plane))
    say(f"{there} canaries {phase}")
    return there >= 0.98 * len(peers.names)


def _ticking(peers: Peers, tool: Process, resting: Stretch) -> None:
    """Nothing is deployed, and each canary has its ticks all the same; each begins with reading the canary."""
    found = peers.stretch(4 * INTERVAL, tool)
    ticks = found.asked.requests["GET", "canaries"]
    peers.note("idle: ticks begun, of all that are due", 100 * ticks / (4 * len(peers.names)), "%")
    read = sum(number for (verb, _), number in found.asked.requests.items() if verb == "GET")
    read -= sum(number for (verb, _), number in resting.asked.requests.items() if verb == "GET") * (
        found.asked.seconds / resting.asked.seconds
    )
    peers.note("idle: objects read, each canary and tick", read / max(ticks, 1), "")
    peers.note("idle: controller", found.cores["controller"], "cores")
    peers.note("idle: API server", found.cores["API server"] - resting.cores["API server"], "cores")


def _checking(peers: Peers, tool: Process, resting: Stretch) -> None:
    """All are analysed."""
    before = sum(counted for _, counted in flagger.standing(peers.control_plane))
    found = peers.stretch(peers.rounds * INTERVAL, tool)
    standing = list(flagger.standing(peers.control_plane))
    done = sum(counted for _, counted in standing) - before
    due = len(peers.names) * peers.rounds
    peers.note(
        "canaries in analysis, of all", 100 * sum(p == "Progressing" for p, _ in standing) / len(standing), "%"
    )
    peers.note("checks counted in the status, of all that are due", 100 * done / due, "%")
    peers.cost(tool, found, resting, done)


def with_rollguard(peers: Peers) -> None:
    """Rollguard, as it is measured in cluster_scale."""
    options = argparse.Namespace(**vars(peers.options), analysed=peers.options.applications, hours=1.0)
    cluster = Cluster(peers.control_plane, peers.folder, peers.prometheus.url, options.applications)
    say(f"filled within {cluster.fill():.0f} s")
    bench = cluster_scale.Bench(cluster, options)
    resting = bench.spent(None, RESTING)
    cluster_scale.analysing(bench, peers.prometheus)
    peers.lines += [(each.what, each.measured, each.unit) for each in bench.lines]
    peers.note("API server alone, without a controller", resting["API server"], "cores")


TOOLS: dict[str, Callable[[Peers], None]] = {
    "rollguard": with_rollguard,
    "rollouts": with_rollouts,
    "rollouts-raised": lambda peers: with_rollouts(peers, *rollouts.RAISED),
    "flagger": with_flagger,
}

BUILT = {"rollguard": (), "rollouts": ("rollouts",), "rollouts-raised": ("rollouts",), "flagger": ("kwok", "flagger")}
"""The parts that each needs beside the control plane."""


def measured(name: str, options: argparse.Namespace, folder: Path) -> Peers:
    """Measure one tool, on servers of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{name}, {options.applications} applications:", flush=True)
    with (
        PrometheusServer(folder, scrape_interval="1h") as prometheus,
        ControlPlane(folder / "control-plane", MANAGER if name == "flagger" else None) as control_plane,
    ):
        peers = Peers(control_plane, prometheus, folder, options)
        TOOLS[name](peers)
        say(f"load of the machine in the last five minutes: {os.getloadavg()[1]:.1f}")
        return peers


def main() -> int:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", nargs="*", default=list(TOOLS), metavar="tool", help=f"of {', '.join(TOOLS)}")
    arguments.add_argument("--applications", type=int, default=300)
    arguments.add_argument("--minutes", type=float, default=2.0, help="to watch each")
    arguments.add_argument("--patience", type=float, default=1200.0, help="seconds until all are analysed")
    arguments.add_argument("--keep", type=Path, help="a folder for all files, which are left there")
    options = arguments.parse_args()
    if unknown := set(options.what) - set(TOOLS):
        arguments.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(TOOLS)}")
    if said := missing("control", "etcd", *(part for each in options.what for part in BUILT[each])):
        print(said, file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = {each: measured(each, options, folder / each) for each in options.what}
    for name, peers in found.items():
        print(f"{name}, {options.applications} applications")
        for what, number, unit in peers.lines:
            print(f"  {what:58} {number:10.3f} {unit}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
