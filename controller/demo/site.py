"""All that the demo consists of: one folder, the repository, the shop, Prometheus, the controller, a phone, customers.

Invariant: whatever was begun is ended by ``close``, in an order in which nothing asks for what is gone already.
"""

import json
import shutil
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

from controller.demo.files import POLICY, settings
from controller.demo.interruption import Interruption
from controller.demo.load import Load, Tally
from controller.demo.manifest import Behaviour
from controller.demo.phone import Phone
from controller.demo.processes import Child, DemoError, clean_environment, end, start, tail
from controller.demo.prometheus import Prometheus, start_prometheus
from controller.demo.repository import Shared
from controller.demo.watching import Watching

STARTING_SECONDS = 30.0


class Site:
    """The demo's world in a folder that exists and is empty."""

    shared: Shared
    prometheus: Prometheus
    watching: Watching

    def __init__(self, folder: Path, interruption: Interruption) -> None:
        self.folder = folder
        self.interruption = interruption
        self.tally = Tally()
        self.phone = Phone()
        self.shop_address = ""
        self.controller_address = ""
        self._children: list[Child] = []
        self._load: Load | None = None

    @property
    def settings_file(self) -> Path:
        """The administrator's settings."""
        return self.folder / "rollguard.yaml"

    @property
    def policies(self) -> Path:
        """The folder of policies."""
        return self.folder / "policies"

    def make_repository(self, first: Behaviour) -> str:
        """Make the remote and the developer's clone; returns the first commit."""
        self.shared = Shared(self.folder)
        return self.shared.begin(first)

    def start_shop(self) -> None:
        """Start the shop: it answers once something is deployed."""
        folder = self.folder / "shop"
        folder.mkdir()
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            self.shop_address = f"127.0.0.1:{listener.getsockname()[1]}"
            number = listener.fileno()
            argv = [sys.executable, "-m", "controller.demo.shop", "--folder", str(folder), "--socket", str(number)]
            self._start("the shop", argv, self.folder / "shop.log", passed=(number,))

    def start_prometheus(self, program: str) -> None:
        """Start Prometheus, which scrapes the shop."""
        targets = {"checkout": self.shop_address}
        self.prometheus = start_prometheus(program, self.folder / "prometheus", targets, self.interruption.wait)
        self._children.append(self.prometheus.child)

    def write_files(self) -> None:
        """Write the policy and the settings."""
        self.policies.mkdir()
        (self.policies / "checkout.yaml").write_text(POLICY)
        secret = self.folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(self.phone.secret)
        text = settings(self.folder, repository=self.shared.url, prometheus=self.prometheus.url, phone=self.phone.url)
        self.settings_file.write_text(text)

    def start_controller(self) -> None:
        """Start ``rollguard run``, and wait until it listens."""
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
        self.prometheus.scrape({"checkout": self.shop_address, "rollguard": self.controller_address})

    def start_load(self) -> None:
        """Let customers come."""
        self._load = Load(self.shop_address, self.tally)
        self._load.start()

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
            if self._load is not None:
                stack.callback(self._load.stop)

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
