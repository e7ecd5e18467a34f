"""A real Alertmanager on a free loopback port, for tests.

    with AlertmanagerServer(tmp_path, webhook=receiver.url) as alertmanager:
        alertmanager.alerts()

Invariant: it listens on 127.0.0.1 only, is no part of a cluster, keeps all its files in the folder it was given, and
dies with the test process.
"""

import ctypes
import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.receiver import free_port

_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class AlertmanagerServer:
    """A running Alertmanager; use it as a context manager."""

    def __init__(self, folder: Path, webhook: str | None = None) -> None:
        """Prepare; ``webhook`` is told at once what fires and what is resolved."""
        self._folder = folder / "alertmanager"
        self._folder.mkdir(parents=True, exist_ok=True)
        found = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if found is None:
            raise RuntimeError(
                "Alertmanager is not on PATH: install the distribution's package prometheus-alertmanager"
            )
        self._binary = found
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        receiver: dict[str, Any] = {"name": "all"}
        if webhook is not None:
            receiver["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
        route = {"receiver": "all", "group_by": ["..."], "group_wait": "10ms", "group_interval": "100ms"}
        (self._folder / "alertmanager.yml").write_text(json.dumps({"route": route, "receivers": [receiver]}))

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def alerts(self) -> list[dict[str, Any]]:
        """What is open now, as its API says."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as reply:
            return list(json.load(reply))

    def start(self) -> None:
        """Start it and wait until it is ready; a port that was taken meanwhile is replaced."""
        for _ in range(5):
            self.port = free_port()
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    self._command(),
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509  it calls nothing but prctl
                )
            if self._becomes_ready(self._process):
                return
            self.stop()
        raise RuntimeError((self._folder / "log").read_text()[-2000:])

    def _command(self) -> list[str]:
        return [
            self._binary,
            f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2):
                    return True
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
