"""Ten thousand Applications in one cluster, guarded by one controller: idle, analysing, and taken over by a standby.

A real API server (etcd, kube-apiserver, kube-controller-manager) with Argo CD's Applications as Argo CD writes them, one
repository and one policy for each of five teams, a real Prometheus, and the real controller in a process of its own with
its state in custom resources. All is watched from outside.

    idle       every application guarded, nothing deployed: < 0.05 core, < 300 MB, ready within 30 s
    analysing  3,000 of them deployed at once, two objectives each, every 15 s: no look later than one interval,
               < 0.5 core, < 350 MB, < 0.1 core of the API server's beside what it spends idle
    takeover   the leader is killed: a standby leads and has loaded all within 20 s

Run: ``python -m benchmarks.cluster_scale`` (all three), or one of them by name; ``--applications 10000``,
``--analysed 3000``, ``--minutes 3``.
"""

import argparse
import contextlib
import math
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster.site import Cluster, Replica, replica
from benchmarks.cluster.spent import Spent, most_resident, resident
from benchmarks.cluster.traffic import Traffic
from benchmarks.fleet import INTERVAL, Fleet
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.parts import missing
from tests.servers.prometheus import PrometheusServer

BEGUN_WITHIN = 900.0
LEADING, GUARDING = "leading", "guarding"


@dataclass(frozen=True)
class Line:
    """One figure, and its goal where it has one."""

    what: str
    measured: float
    unit: str
    goal: float | None = None

    @property
    def missed(self) -> bool:
        """Whether it is not below its goal."""
        return self.goal is not None and not self.measured <= self.goal


def until(happened: Callable[[], object], what: str, seconds: float = BEGUN_WITHIN, pause: float = 1.0) -> float:
    """Wait for something outside; returns the seconds that it took."""
    begun = time.monotonic()
    while not happened():
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return time.monotonic() - begun


def say(text: str) -> None:
    """Say how far it is."""
    print(f"  {text}", flush=True)


class Bench:
    """What all measurings stand on."""

    def __init__(self, cluster: Cluster, options: argparse.Namespace) -> None:
        self.cluster = cluster
        self.options = options
        self.lines: list[Line] = []
        self.servers = {
            "API server": cluster.control_plane.api_server.pid,
            "etcd": cluster.control_plane.etcd.pid,
        }
        self.idle: dict[str, float] = {}
        """Cores while the controller idles."""

    def note(self, what: str, measured: float, unit: str, goal: float | None = None) -> None:
        """Take a figure down."""
        self.lines.append(Line(what, measured, unit, goal))
        say(f"{what}: {measured:.3f} {unit}")

    def spent(self, made: Replica | None, seconds: float) -> dict[str, float]:
        """Cores over some seconds."""
        processes = self.servers | ({"controller": made.pid} if made is not None else {})
        before = Spent.now(processes)
        time.sleep(seconds)
        return Spent.now(processes).cores(before)

    def asked(self) -> Traffic:
        """What the API server and Prometheus have been asked."""
        return Traffic.now(self.cluster.control_plane.api, self.cluster.prometheus)

    def adopted(self) -> bool:
        """Whether the state of every application is stored."""
        return self.cluster.objects("guardedapplications") >= len(self.cluster.apps)

    def settled(self, made: Replica, below: float = 0.1) -> bool:
        """Whether the controller has found out all that it must know of what is live."""
        return self.adopted() and self.spent(made, 5.0)["controller"] < below


def started(bench: Bench, made: Replica, name: str) -> None:
    """From the start of the process until it guards: with nothing stored yet, or with all of it."""
    begun = time.time() - (time.monotonic() - made.begun)
    until(lambda: made.said(GUARDING), "start", pause=0.2)
    bench.note(f"start-up to ready, {name}", (made.said(GUARDING) or math.nan) - begun, "s", 30.0)


def idle(bench: Bench) -> None:
    """Nothing happens."""
    without = bench.spent(None, 20.0)
    with replica(bench.cluster, "first") as made:
        started(bench, made, "first start")
        taken = until(lambda: bench.settled(made, 0.3), "adoption", 1800.0)
        bench.note("until all are adopted", taken, "s")
        bench.note("memory at its most, first start", most_resident(made.pid), "MB")
    with replica(bench.cluster, "second") as made:
        started(bench, made, "state stored")
        until(lambda: bench.settled(made), "rest", 300.0)
        seconds = bench.options.minutes * 60
        cores = bench.spent(made, seconds)
        bench.idle = cores
        bench.note("controller, idle", cores["controller"], "cores", 0.05)
        bench.note("memory, idle", resident(made.pid), "MB", 300.0)
        bench.note("memory at its most", most_resident(made.pid), "MB")
        for name in bench.servers:
            bench.note(f"{name}, idle, beside what it spends alone", cores[name] - without[name], "cores")


@contextlib.contextmanager
def kept_alive(fleet: Fleet, prometheus: PrometheusServer, since: int) -> Iterator[None]:
    """Have the services' counters stored as they pass."""
    stopping = threading.Event()

    def run() -> None:
        at = since
        while not stopping.is_set():
            if time.time() < at:
                stopping.wait(max(0.0, at - time.time()))
                continue
            fleet.push(prometheus, (at,), at_once=1000)
            at += INTERVAL

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    stopping.set()
    thread.join(60)


def analysing(bench: Bench, prometheus: PrometheusServer) -> None:
    """Many are analysed at once."""
    options = bench.options
    apps = bench.cluster.apps[: options.analysed]
    fleet = Fleet([each.name for each in apps])
    begun = time.monotonic()
    first = (int(time.time() - options.hours * 3600) // INTERVAL) * INTERVAL
    last = (int(time.time()) // INTERVAL) * INTERVAL
    fleet.push(prometheus, range(first, last, INTERVAL))
    say(f"{options.hours:g} h of history stored in {time.monotonic() - begun:.0f} s")
    with kept_alive(fleet, prometheus, last), replica(bench.cluster, "analysing") as made:
        until(lambda: made.said(GUARDING), "start", pause=0.2)
        until(lambda: bench.settled(made), "rest", 900.0)
        resting = bench.idle or bench.spent(made, 20.0)
        taken = bench.cluster.deploy(apps, f"version {time.time():.0f}")
        say(f"deployed {len(apps)} within {taken:.0f} s")
        begun = time.monotonic()
        while time.monotonic() - begun < options.patience and not _all_looked(made, len(apps)):
            pass
        bench.note("until all are looked at", time.monotonic() - begun, "s")
        bench.note("memory at its most, references included", most_resident(made.pid), "MB", 350.0)
        time.sleep(2 * INTERVAL)
        _watched(bench, made, resting)
    fleet.close()


def _all_looked(made: Replica, number: int) -> bool:
    """Whether all were looked at within two rounds from now."""
    earlier = made.looks()[math.inf]
    time.sleep(2 * INTERVAL)
    looks = made.looks()[math.inf] - earlier
    say(f"{looks / 2:.0f} looks a round")
    return looks >= 1.9 * number


def _watched(bench: Bench, made: Replica, resting: dict[str, float]) -> None:
    options = bench.options
    rounds = max(2, round(options.minutes * 60 / INTERVAL))
    looks = made.looks()
    failures, asked = _failures(made), bench.asked()
    cores = bench.spent(made, rounds * INTERVAL)
    after, asked = made.looks(), bench.asked().since(asked)
    done = {bound: after[bound] - looks[bound] for bound in after}
    number = done[math.inf]
    if not number:
        bench.note("looks, of all that are due", 0.0, "%", math.nan)
        return
    bench.note("looks, of all that are due", 100 * number / (rounds * options.analysed), "%")
    in_time = 100 * done[float(INTERVAL)] / (rounds * options.analysed)
    bench.note("looks no later than one interval, of all that are due", in_time, "%")
    for share in (0.5, 0.99, 1.0):
        late = min((bound for bound in done if done[bound] >= share * number), default=math.inf)
        bench.note(f"lateness of {100 * share:g} % of the looks, at most", late, "s", 15.0 if share == 1 else None)
    bench.note("queries without an answer", _failures(made) - failures, "")
    bench.note("controller, analysing", cores["controller"], "cores", 0.5)
    bench.note("CPU of one look, all beside included", 1000 * cores["controller"] * rounds * INTERVAL / number, "ms")
    bench.note("memory, analysing", resident(made.pid), "MB", 350.0)
    caused = cores["API server"] - resting["API server"]
    bench.note("API server, beside what it spends idle", caused, "cores", 0.1)
    bench.note("etcd, beside what it spends idle", cores["etcd"] - resting["etcd"], "cores")
    bench.note("requests to the API server, of everybody", asked.rate, "/s")
    bench.note("Prometheus queries", asked.queries / rounds, "/round")


def _failures(made: Replica) -> float:
    return sum(v for k, v in made.metrics().items() if k.startswith("rollguard_query_failures_total"))


def takeover(bench: Bench) -> None:
    """The leader is killed."""
    with replica(bench.cluster, "leader") as leader:
        until(lambda: leader.said(GUARDING), "start", pause=0.2)
        until(bench.adopted, "adoption", 1800.0)
        with replica(bench.cluster, "standby") as standby:
            until(lambda: standby.said("standing by"), "standing by", pause=0.2)
            time.sleep(30.0)  # it comes to know the applications meanwhile
            killed = leader.kill()
            until(lambda: standby.said(GUARDING), "takeover", 300.0, 0.2)
            bench.note("a standby leads after", (standby.said(LEADING) or math.nan) - killed, "s")
            bench.note("and has loaded all after", (standby.said(GUARDING) or math.nan) - killed, "s", 20.0)


def report(bench: Bench) -> int:
    """Print the table; 1 where a goal is missed."""
    print(f"{len(bench.cluster.apps)} applications")
    for line in bench.lines:
        goal = f"< {line.goal:g}" if line.goal is not None else ""
        print(f"  {line.what:52} {goal:>8} {line.measured:10.3f} {line.unit:6} {'MISSED' if line.missed else ''}")
    return int(any(each.missed for each in bench.lines))


def main() -> int:
    """Run it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", nargs="*", default=["idle", "analysing", "takeover"])
    arguments.add_argument("--applications", type=int, default=10_000)
    arguments.add_argument("--analysed", type=int, default=3_000)
    arguments.add_argument("--minutes", type=float, default=3.0)
    arguments.add_argument("--hours", type=float, default=1.0, help="of history in Prometheus")
    arguments.add_argument("--patience", type=float, default=1800.0, help="seconds for the first looks at all")
    arguments.add_argument("--keep", type=Path, help="a folder for all files, which are left there")
    options = arguments.parse_args()
    if said := missing("control", "etcd"):
        print(said, file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        prometheus = stack.enter_context(PrometheusServer(folder, scrape_interval="1h"))
        control_plane = ControlPlane(folder / "control-plane")
        tokens = control_plane.folder / "tokens.csv"
        if tokens.exists():  # of an earlier run, whose applications are used again
            control_plane.token = tokens.read_text().partition(",")[0]
        stack.enter_context(control_plane)
        cluster = Cluster(control_plane, folder, prometheus.url, options.applications)
        say(f"filled within {cluster.fill():.0f} s")
        bench = Bench(cluster, options)
        measurings: dict[str, Callable[[Bench], None]] = {
            "fill": lambda _: None,
            "idle": idle,
            "analysing": lambda made: analysing(made, prometheus),
            "takeover": takeover,
        }
        for each in options.what:
            print(f"{each}:", flush=True)
            measurings[each](bench)
        return report(bench)


if __name__ == "__main__":
    sys.exit(main())
