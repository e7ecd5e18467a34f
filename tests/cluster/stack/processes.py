"""Servers as plain processes: started on free loopback ports, awaited by their health, ended by their process id.

Invariant: a process that was started here is ended by ``stop``, and by the kernel where the tests themselves are killed.
"""

import http.client
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_SETPRIV = shutil.which("setpriv")
_WITH_PARENT = [_SETPRIV, "--pdeathsig", "KILL"] if _SETPRIV else []
_PORTS = range(20_000, 32_000)
"""Below the ports that the kernel gives to outgoing connections, of which a cluster makes many."""
_handed_out: set[int] = set()
PAUSE = 0.05


def free_port() -> int:
    """A loopback port that nothing listens on, and that was not handed out before."""
    for port in random.sample(_PORTS, 1000):
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise RuntimeError("no free port was found")


def until(happened: Callable[[], object], what: str, deadline: float = 60.0) -> object:
    """Ask until ``happened`` returns something true, and return that.

    Raises:
        TimeoutError: it did not within ``deadline`` seconds.
    """
    end = time.monotonic() + deadline
    while not (found := happened()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {deadline:g} s")
        time.sleep(PAUSE)
    return found


def answers(url: str) -> Callable[[], bool]:
    """Whether a health endpoint answers 200, as something to wait for; certificates are not looked at."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
    )

    def ready() -> bool:
        try:
            with opener.open(url, timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    return ready


def accepts(port: int) -> Callable[[], bool]:
    """Whether a loopback port accepts connections, as something to wait for."""

    def ready() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return True
        except OSError:
            return False

    return ready


class Process:
    """One server process with its log in ``folder``; ``command[0]`` is its program."""

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log"
        self._folder = folder
        self._command = list(command)
        self.environment = os.environ | dict(environment or {})
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        if self._running is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._running.pid

    def start(self, ready: Callable[[], bool] | None = None, deadline: float = 90.0) -> None:
        """Start it and wait until it is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time; says what it logged last.
        """
        with self.log_path.open("ab") as log:
            self._running = subprocess.Popen(
                [*_WITH_PARENT, *self._command],
                cwd=self._folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + deadline
        while ready is not None and not ready():
            status = self._running.poll()
            if status is not None or time.monotonic() > end:
                how = f"was not ready within {deadline:g} s" if status is None else f"ended with {status}"
                self.stop()
                raise RuntimeError(f"{self.name} {how}; it said:\n{self.tail()}")
            time.sleep(PAUSE)

    def stop(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        """End it; SIGKILL unless told otherwise, as nothing of it is kept."""
        if self._running is not None:
            self._running.send_signal(with_signal)
            self._running.wait(60)
            self._running = None

    def pause(self) -> None:
        """Freeze it: it accepts connections and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def alive(self) -> bool:
        """Whether it is running."""
        return self._running is not None and self._running.poll() is None

    def tail(self, characters: int = 4000) -> str:
        """The end of its log."""
        return self.log_path.read_text(errors="replace")[-characters:] if self.log_path.exists() else ""
