"""Runs ``rollguard demo`` as a user does, and sees what it leaves behind.

Invariant: every process of a run carries a mark in its environment, so that what is left of this run, and of no other, is
found.
"""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROLLGUARD = Path(sys.executable).with_name("rollguard")
CACHE = os.environ.get("ROLLGUARD_CACHE") or str(Path("~/.cache/rollguard").expanduser())
MARK = "DEMO_TEST_MARK"


class Run:
    """One run; its temporary folder and home are the test's own."""

    def __init__(self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.mark = secrets.token_hex(8)
        self.home, self.temporary, self.out, self.err = (
            folder / "home",
            folder / "temporary",
            folder / "out",
            folder / "err",
        )
        for path in (self.home, self.temporary):
            path.mkdir()
        self.variables = {
            **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")},
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "ROLLGUARD_CACHE": CACHE,
            # What would lead it elsewhere, were it not left out: a foreign repository, and settings of another store.
            "GIT_DIR": str(folder / "nowhere"),
            "ROLLGUARD_STORE__SQLITE": str(folder / "elsewhere.db"),
            MARK: self.mark,
            **(environment or {}),
        }
        self.elsewhere = folder / "elsewhere.db"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [str(ROLLGUARD), "demo", *arguments],
                cwd=folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def wait(self, seconds: float = 150.0) -> int:
        """Its exit code."""
        return self.process.wait(seconds)

    def said(self) -> str:
        """Standard output until now."""
        return self.out.read_text(errors="replace")

    def complained(self) -> str:
        """Standard error until now."""
        return self.err.read_text(errors="replace")

    def until(self, text: str) -> None:
        """Wait until it has said so."""
        until(lambda: text in self.said() or self.process.poll() is not None, text)
        assert text in self.said(), self.said() + self.complained()

    def processes(self) -> dict[int, str]:
        """What runs with the mark: process ids and command lines."""
        found = {}
        wanted = f"{MARK}={self.mark}".encode()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def nothing_left(self) -> bool:
        """Whether no process, no temporary file and nothing in the home is left."""
        return (
            self.processes() == {}
            and list(self.temporary.iterdir()) == []
            and list(self.home.iterdir()) == []
            and not self.elsewhere.exists()
        )

    def close(self) -> None:
        """End whatever is left, by process id: for tests that fail."""
        for process in self.processes():
            try:
                os.kill(process, 9)
            except ProcessLookupError:
                continue
        self.process.wait(10)


def until(happened: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait for something in a foreign process."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)
