"""What every demo stands on: one folder, processes in it, customers, a phone, and how all of that ends.

Invariant: whatever was begun is ended by ``close``, in an order in which nothing asks for what is gone already.
"""

import json
import shutil
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from controller.demo.interruption import Interruption
from controller.demo.load import RATE, Load, Tally
from controller.demo.phone import Phone
from controller.demo.processes import Child, DemoError, clean_environment, end, start, tail
from controller.demo.prometheus import Prometheus, start_prometheus
from controller.demo.watching import Watching

STARTING_SECONDS = 30.0


class Ground:
    """The demo's world in a folder that exists and is empty."""

    prometheus: Prometheus
    watching: Watching

    def __init__(self, folder: Path, interruption: Interruption) -> None:
        self.folder = folder
        self.interruption = interruption
        self.phone = Phone()
        self.controller_address = ""
        self._children: list[Child] = []
        self._loads: list[Load] = []

    @property
    def settings_file(self) -> Path:
        """The administrator's settings."""
        return self.folder / "rollguard.yaml"

    @property
    def policies(self) -> Path:
        """The folder of policies."""
        return self.folder / "policies"

    def secret(self, name: str, text: str) -> Path:
        """Write a file that its owner alone can read."""
        file = self.folder / name
        file.touch(mode=0o600)
        file.write_text(text)
        return file

    def serve_shop(self, name: str, folder: Path, *more: str) -> str:
        """Start a shop that reads what is deployed into ``folder``, and answers once something is; returns its address."""
        folder.mkdir()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            number = listener.fileno()
            argv = [sys.executable, "-m", "controller.demo.shop", "--folder", str(folder), "--socket", str(number)]
            self._start(name, [*argv, *more], self.folder / f"{folder.name}.log", passed=(number,))
        return address

    def scrape(self, program: str, targets: Mapping[str, str]) -> None:
        """Start Prometheus, which scrapes these: names and addresses."""
        self.prometheus = start_prometheus(program, self.folder / "prometheus", targets, self.interruption.wait)
        self._children.append(self.prometheus.child)

    def run_controller(self, targets: Mapping[str, str]) -> None:
        """Start ``rollguard run``, wait until it listens, and have it scraped beside the others."""
        argv = [sys.executable, "-m", "controller", "run"]
        argv += ["--settings", str(self.settings_file), "--policies", str(self.policies)]
        child = self._start("the controller", argv, self.folder / "controller.log")

        def listens() -> bool:
            child.check()
            self.controller_address = _listening(child.log)
            return bool(self.controller_address)

        if not self.interruption.until(listens, STARTING_SECONDS):
            raise DemoError(f"the controller did not start in time. The end of its log:\n{tail(child.log)}")
        self.watching = Watching(self.controller_address, self.folder / "state" / "state.db")
        self.prometheus.scrape({**targets, "rollguard": self.controller_address})

    def send_customers(self, address: str, tally: Tally, rate: float = RATE) -> None:
        """Let customers come to a shop."""
        load = Load(address, tally, rate)
        self._loads.append(load)
        load.start()

    def check(self) -> None:
        """Raises DemoError where a process has ended by itself, Interrupted where a signal came."""
        self.interruption.check()
        for child in self._children:
            child.check()

    def close(self) -> None:
        """End everything. The folder stays."""
        with ExitStack() as stack:
            stack.callback(self.phone.close)
            stack.callback(end, self._children)
            if hasattr(self, "watching"):
                stack.callback(self.watching.close)
            for load in self._loads:
                stack.callback(load.stop)

    def _start(self, name: str, argv: list[str], log: Path, passed: tuple[int, ...] = ()) -> Child:
        environment = clean_environment(PYTHONUNBUFFERED="1")
        child = start(name, argv, log, folder=self.folder, environment=environment, passed=passed)
        self._children.append(child)
        return child


def remove(folder: Path) -> None:
    """Remove the demo's folder."""
    shutil.rmtree(folder, ignore_errors=True)


def _listening(log: Path) -> str:
    """Host and port where the controller listens, as its log says; empty before it does."""
    for line in log.read_text(errors="replace").splitlines():
        if '"listening"' in line:
            try:
                return str(json.loads(line)["url"]).removeprefix("http://")
            except (ValueError, KeyError):
                continue
    return ""
