"""A real Prometheus on a free loopback port, for tests.

    with PrometheusServer(tmp_path, targets=[target], scrape_interval="1s") as prometheus:
        prometheus.push([({"__name__": "x_total", "job": "a"}, [(at, 1.0), (at + 15, 2.0)])])
        prometheus.wait_for("up", lambda rows: len(rows) == 1)

Invariant: it listens on 127.0.0.1 only, keeps all its files in the folder it was given, and dies with the test
process. ``push`` stores samples with exact timestamps, up to 30 days old, at once (remote write; out-of-order samples
are allowed), so a history needs no waiting and no restart.
"""

import http.client
import json
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from tests.servers.remote_write import Labels, Samples, write_request
from tests.servers.scrape_target import ScrapeTarget

Rows: TypeAlias = list[dict[str, Any]]

_BUILD = Path(__file__).with_name("build_prometheus3.sh")
_SETPRIV = shutil.which("setpriv")
_WITH_PARENT = [_SETPRIV, "--pdeathsig", "KILL"] if _SETPRIV else []


@dataclass(frozen=True)
class Target:
    """Something to scrape, with labels of its own; ``job`` is ``test`` unless the labels say otherwise."""

    address: str
    labels: Mapping[str, str] = field(default_factory=dict)


def prometheus2() -> str | None:
    """The distribution's Prometheus, or None."""
    return shutil.which("prometheus")


def prometheus3() -> str | None:
    """The Prometheus 3 that build_prometheus3.sh has built, or None where that was not run."""
    path = subprocess.run(["sh", str(_BUILD), "--path"], check=True, capture_output=True, text=True).stdout.strip()
    return path if Path(path).exists() else None


def prometheus_binaries() -> dict[str, str]:
    """Every Prometheus there is to test with, by a short name."""
    found = {"prometheus2": prometheus2(), "prometheus3": prometheus3()}
    return {name: path for name, path in found.items() if path is not None}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PrometheusServer:
    """A running Prometheus; use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        targets: Sequence[str | ScrapeTarget | Target] = (),
        scrape_interval: str = "1s",
        binary: str | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self._folder = folder / "prometheus"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._interval = scrape_interval
        self._arguments = list(arguments)
        found = binary or prometheus2()
        if found is None:
            raise RuntimeError("Prometheus is not on PATH: install the distribution's package prometheus")
        self._binary = found
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.set_targets(targets)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._process is None:
            raise RuntimeError("not running")
        return self._process.pid

    def set_targets(self, targets: Sequence[str | ScrapeTarget | Target]) -> None:
        """Scrape these from now on, and nothing else; a running Prometheus sees the change at once."""
        groups = []
        for each in targets:
            address = each if isinstance(each, str) else each.address
            labels = dict(each.labels) if isinstance(each, Target) else {}
            groups.append({"targets": [address], "labels": {"job": "test", **labels}})
        new = self._folder / "targets.new"
        new.write_text(json.dumps(groups))
        new.replace(self._folder / "targets.json")

    def start(self) -> None:
        """Start it and wait until it is ready; a port that was taken meanwhile is replaced."""
        for _ in range(5):
            self.port = _free_port()
            self._process = self._spawn()
            if self._ready():
                return
            self.stop()
        raise RuntimeError(f"Prometheus did not start: {self.log()[-2000:]}")

    def stop(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """End it; SIGKILL, as nothing of it is kept."""
        if self._process is not None:
            self._process.send_signal(with_signal)
            self._process.wait(30)
            self._process = None

    def pause(self) -> None:
        """Freeze it: it accepts connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on."""
        self._signal(signal.SIGCONT)

    def log(self) -> str:
        """What it has written."""
        return (self._folder / "log").read_text(errors="replace")

    def push(self, series: Iterable[tuple[Labels, Samples]]) -> None:
        """Store samples (None: a staleness marker); labels hold ``__name__``; they can be queried when this returns."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {
                "Content-Encoding": "snappy",
                "Content-Type": "application/x-protobuf",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            }
            connection.request("POST", "/api/v1/write", write_request(series), headers)
            response = connection.getresponse()
            said = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status not in (200, 204):
            raise RuntimeError(f"remote write was refused: {response.status} {said}")

    def query(self, expression: str, at: float | None = None) -> Rows:
        """The result of an instant query."""
        parameters = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        data = urllib.parse.urlencode(parameters).encode()
        with urllib.request.urlopen(f"{self.url}/api/v1/query", data, timeout=30) as response:
            result: Rows = json.load(response)["data"]["result"]
        return result

    def wait_for(self, query: str, predicate: Callable[[Rows], bool] = bool, deadline: float = 20.0) -> Rows:
        """Ask until the rows satisfy the predicate (default: there are any); returns them.

        Raises:
            TimeoutError: they did not within ``deadline`` seconds.
        """
        end = time.monotonic() + deadline
        while True:
            rows = self.query(query)
            if predicate(rows):
                return rows
            if time.monotonic() > end:
                raise TimeoutError(f"{query} did not come true within {deadline} s; it is {rows!r}"[:1000])
            time.sleep(0.05)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        configuration = self._folder / "prometheus.yml"
        configuration.write_text(
            _CONFIGURATION.format(interval=self._interval, targets=self._folder / "targets.json")
        )
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    *_WITH_PARENT,
                    self._binary,
                    f"--config.file={configuration}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    "--storage.tsdb.retention.time=100y",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--web.enable-remote-write-receiver",
                    "--log.level=warn",
                    *self._arguments,
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _ready(self, deadline: float = 30.0) -> bool:
        end = time.monotonic() + deadline
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as response:
                    if response.status == 200:
                        return True
            except OSError:
                pass
            time.sleep(0.02)
        return False

    def _signal(self, which: signal.Signals) -> None:
        if self._process is None:
            raise RuntimeError("not running")
        self._process.send_signal(which)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


_CONFIGURATION = """\
global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}
storage: {{tsdb: {{out_of_order_time_window: 30d}}}}
scrape_configs:
  - job_name: test
    file_sd_configs: [{{files: ["{targets}"], refresh_interval: 1s}}]
"""
