"""The demo's processes: started apart from the terminal, ended together, never left behind.

Invariant: a process runs in a session of its own, so that Ctrl-C reaches the demo alone, which ends everything in order;
and it is told to end by the kernel, where that can (Linux), should the demo die without doing so.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GRACE = 6.0
"""Seconds from SIGTERM to SIGKILL."""
TAIL_LINES = 8
_TAIL_BYTES = 16 * 1024
_LONGEST_LINE = 400

# Runs in the child before its program: 1 is PR_SET_PDEATHSIG. The parent may be gone before it was set.
_WITH_PARENT = """
import os, signal, sys
parent, program = int(sys.argv[1]), sys.argv[2:]
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
except (ImportError, OSError, AttributeError):
    pass
if os.getppid() != parent:
    sys.exit(1)
try:
    os.execvp(program[0], program)
except OSError as error:
    sys.exit(f"{program[0]}: {error.strerror}")
"""

_NOT_INHERITED = (
    "GIT_",
    "ROLLGUARD_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
)


class DemoError(Exception):
    """The demo cannot go on; the text is a sentence, with the end of a log where there is one."""


def clean_environment(**more: str) -> dict[str, str]:
    """This process' environment without what would lead a child elsewhere: Git's, Rollguard's and proxies' variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)} | more


@dataclass(slots=True)
class Child:
    """One process of the demo."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def check(self) -> None:
        """Raises DemoError where it has ended by itself."""
        code = self.process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended by itself ({ending(code)}). The end of its log:\n{tail(self.log)}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)


def start(
    name: str,
    argv: Sequence[str],
    log: Path,
    *,
    folder: Path,
    environment: Mapping[str, str],
    passed: Iterable[int] = (),
) -> Child:
    """Start a program; call it from the main thread, whose end is the parent's end for the kernel.

    ``passed`` are open files that it inherits; what it prints goes to ``log``.
    """
    wrapped = [sys.executable, "-I", "-S", "-c", _WITH_PARENT, str(os.getpid()), *argv]
    with log.open("ab") as output:
        process = subprocess.Popen(
            wrapped,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=tuple(passed),
        )
    return Child(name, log, process)


def end(children: Iterable[Child], grace: float = GRACE) -> None:
    """End them all at once: SIGTERM, and SIGKILL after ``grace`` seconds for those that still run."""
    ending_ones = list(children)
    for child in ending_ones:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    for child in ending_ones:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.0, deadline - time.monotonic()))
    for child in ending_ones:
        child.signal(signal.SIGKILL)
        child.process.wait()


def ending(code: int) -> str:
    """How a process ended, for people."""
    return f"by signal {-code}" if code < 0 else f"exit code {code}"


def tail(log: Path) -> str:
    """The last lines of a log, indented, without control characters."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return "  (there is no log)"
    lines = [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
    clean = ("".join(each if each.isprintable() else " " for each in line)[:_LONGEST_LINE] for line in lines)
    return "\n".join(f"  {line}" for line in clean) or "  (it is empty)"
