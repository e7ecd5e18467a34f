"""A real Prometheus for the demo: found, started on a free loopback port, scraping every second.

Invariant: its files lie in the demo's folder; the port that it got is known when ``start_prometheus`` returns.
"""

import http.client
import json
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.demo.processes import Child, DemoError, clean_environment, end, ending, start, tail

CACHE = "ROLLGUARD_CACHE"
READY_SECONDS = 30.0
_TRIES = 5
_POLL = 0.05

_CONFIGURATION = """\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: demo
    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]
"""

MISSING = (
    "Prometheus is neither on PATH nor in {cache}: install it (Debian and Ubuntu: apt-get install prometheus; "
    "elsewhere: https://prometheus.io/download/), or run `make demo`, which unpacks the distribution's package there."
)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    child: Child
    address: str
    """Host and port."""
    folder: Path

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://{self.address}"

    def scrape(self, targets: Mapping[str, str]) -> None:
        """Scrape these from now on: the service's name and its address."""
        _write_targets(self.folder, targets)


def find_prometheus(environment: Mapping[str, str] = os.environ) -> str:
    """The program: from PATH, else from the cache that `make setup` fills.

    Raises:
        DemoError: there is none.
    """
    given = environment.get(CACHE) or os.path.expanduser("~/.cache/rollguard")  # noqa: PTH111  "~" itself without home
    cache = Path(given) / "bin"
    path = environment.get("PATH", os.defpath)
    found = shutil.which("prometheus", path=os.pathsep.join((path, str(cache))))
    if found is None:
        raise DemoError(MISSING.format(cache=cache))
    return found


def start_prometheus(
    program: str, folder: Path, targets: Mapping[str, str], wait: Callable[[float], None]
) -> Prometheus:
    """Start it in ``folder`` and wait until it is ready. ``wait`` sleeps so many seconds, and may raise.

    Raises:
        DemoError: it does not start; the text has the end of its log.
    """
    folder.mkdir()
    (folder / "prometheus.yml").write_text(_CONFIGURATION)
    _write_targets(folder, targets)
    for _ in range(_TRIES):
        address = f"127.0.0.1:{free_port()}"
        child = _start(program, folder, address)
        try:
            if _ready(child, address, wait):
                return Prometheus(child, address, folder)
        except BaseException:
            end([child])
            raise
        end([child])
        if "address already in use" not in tail(child.log):
            break
    code = child.process.returncode
    why = f"ended ({ending(code)})" if code >= 0 else f"was not ready within {READY_SECONDS:g} s"
    raise DemoError(f"Prometheus ({program}) {why}. The end of its log:\n{tail(child.log)}")


def free_port() -> int:
    """A port that was free a moment ago; another process may take it, so its user must be ready to try again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(program: str, folder: Path, address: str) -> Child:
    argv = [
        program,
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    return start("Prometheus", argv, folder / "prometheus.log", folder=folder, environment=clean_environment())


def _ready(child: Child, address: str, wait: Callable[[float], None]) -> bool:
    """Whether it answers before it ends, and in time."""
    for _ in range(round(READY_SECONDS / _POLL)):
        if child.process.poll() is not None:
            return False
        connection = http.client.HTTPConnection(address, timeout=2)
        try:
            connection.request("GET", "/-/ready")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return child.process.poll() is None
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        wait(_POLL)
    return False


def _write_targets(folder: Path, targets: Mapping[str, str]) -> None:
    groups = [{"targets": [address], "labels": {"service": name}} for name, address in targets.items()]
    new = folder / "targets.new"
    new.write_text(json.dumps(groups))
    new.replace(folder / "targets.json")
