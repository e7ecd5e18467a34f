"""A real Prometheus for the demo: found, started on a free loopback port, scraping every second.

Invariant: its files lie in the demo's folder.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.demo.processes import Child, DemoError, clean_environment, start
from controller.demo.programs import cache_of, found
from controller.demo.serving import serve

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
    program = found("prometheus", environment)
    if program is None:
        raise DemoError(MISSING.format(cache=cache_of(environment) / "bin"))
    return program


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

    def begin(address: str) -> Child:
        return _start(program, folder, address)

    child, address = serve(f"Prometheus ({program})", begin, "/-/ready", wait)
    return Prometheus(child, address, folder)


def _start(program: str, folder: Path, address: str) -> Child:
    argv = [
        program,
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    return start("Prometheus", argv, folder / "prometheus.log", folder=folder, environment=clean_environment())


def _write_targets(folder: Path, targets: Mapping[str, str]) -> None:
    groups = [{"targets": [address], "labels": {"service": name}} for name, address in targets.items()]
    new = folder / "targets.new"
    new.write_text(json.dumps(groups))
    new.replace(folder / "targets.json")
