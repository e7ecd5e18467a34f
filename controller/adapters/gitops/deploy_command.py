"""Runs an application's deploy command: an argument vector, no shell, in a process group of its own.

Invariant: the command comes from, or reads, a repository that others write. It therefore sees no variable of the
controller but PATH, no open file and no input; it ends at its deadline with all that it started; and of what it prints
only the end is kept. What a command that succeeded left running in the background is left alone (it must have sent its
output elsewhere: nobody reads the pipe any more).
"""

import os
import pwd
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from controller.ports.clock import Clock

OUTPUT_KEPT = 16 * 1024
"""Bytes of the end of the output that are kept."""
MESSAGE_LINES = 6
MESSAGE_LENGTH = 600
TICK = 0.1
"""Seconds between looks at the deadline while a command runs."""
MASKED_LENGTH = 8
"""Values of the administrator's own variables are masked in the output from this length on."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_READ = 64 * 1024
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\xa0-\U0010ffff]")


class Ending(StrEnum):
    """How a command ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """It could not be started, exited with another code than 0, or was killed by somebody else."""
    TIMED_OUT = "TimedOut"
    INTERRUPTED = "Interrupted"
    """It was ended because it was no longer wanted."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended, in one sentence with the last lines that it printed."""

    ending: Ending
    message: str


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms on which a command runs."""

    timeout: float
    """Seconds after which it is ended."""
    grace: float
    """Seconds from SIGTERM to SIGKILL."""
    run_as: str | None = None
    """Another user's name, where the controller is root."""
    masked: tuple[str, ...] = ()
    """Values that must not appear in a message."""


def run_command(
    argv: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    *,
    terms: Terms,
    clock: Clock,
    unwanted: Callable[[], bool],
) -> CommandResult:
    """Run the command in ``folder`` with exactly ``environment``; never raises for what the command does.

    ``unwanted`` is asked ten times a second: once it is true, the command is ended.
    """
    try:
        process = _start(argv, folder, environment, terms.run_as)
    except (OSError, ValueError, KeyError) as error:
        return CommandResult(Ending.FAILED, _cannot_start(argv[0], error))
    attendance = _Attendance(process, clock, terms.grace)
    try:
        ending = attendance.until_ended(terms.timeout, unwanted)
    finally:
        attendance.close()
    said = _last_lines(bytes(attendance.output), terms.masked)
    return CommandResult(
        ending, _sentence(argv[0], process.returncode, ending, terms) + (f": {said}" if said else "")
    )


def scrubbed_environment(home: Path, extra: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a command: PATH, HOME, LANG, what the administrator adds, what the run is told."""
    base = {"PATH": os.environ.get("PATH") or DEFAULT_PATH, "HOME": str(home), "LANG": "C.UTF-8"}
    return base | dict(extra) | dict(told)


def kill_marked(marker: str, processes: Path = Path("/proc")) -> int:
    """Kill each process whose environment carries ``marker`` (``NAME=value``); returns how many.

    After the controller itself was killed, this finds what its last command left behind. Where the system has no
    ``/proc``, nothing is found.
    """
    wanted, killed = marker.encode(), 0
    with suppress(OSError):
        for entry in processes.iterdir():
            if entry.name.isdecimal() and wanted in _environment_of(entry):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(int(entry.name), signal.SIGKILL)
                    killed += 1
    return killed


def _environment_of(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _start(
    argv: Sequence[str], folder: Path, environment: Mapping[str, str], run_as: str | None
) -> subprocess.Popen[bytes]:
    account = pwd.getpwnam(run_as) if run_as else None
    return subprocess.Popen(
        list(argv),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )


class _Attendance:
    """Reads what a process prints until it has ended, and sees to it that it ends."""

    def __init__(self, process: subprocess.Popen[bytes], clock: Clock, grace: float) -> None:
        self.output = bytearray()
        self._process = process
        self._pipe: IO[bytes] | None = process.stdout
        self._poll = select.poll()  # select() refuses file numbers from 1024 on
        if process.stdout is not None:
            self._poll.register(process.stdout, select.POLLIN | select.POLLHUP)
        self._clock = clock
        self._grace = grace

    def until_ended(self, timeout: float, unwanted: Callable[[], bool]) -> Ending:
        """Wait for the end, however it comes about; then nothing of a command that did not succeed is left."""
        ending: Ending | None = None
        deadline = self._clock.monotonic() + timeout
        while self._process.poll() is None:
            self._read_or_wait(TICK)
            now = self._clock.monotonic()
            if ending is None and (now >= deadline or unwanted()):
                ending = Ending.TIMED_OUT if now >= deadline else Ending.INTERRUPTED
                deadline = now + self._grace
                self._signal(signal.SIGTERM)
            elif ending is not None and now >= deadline:
                self._signal(signal.SIGKILL)
        for _ in range(2 * OUTPUT_KEPT // select.PIPE_BUF):
            if self._pipe is None or not self._read_or_wait(0):
                break
        ending = ending or (Ending.SUCCEEDED if self._process.returncode == 0 else Ending.FAILED)
        if ending is not Ending.SUCCEEDED:
            self._signal(signal.SIGKILL)
        return ending

    def close(self) -> None:
        """Leave nothing behind, whatever went wrong while it was attended."""
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read_or_wait(self, seconds: float) -> bool:
        """Read what is there, or wait a little; returns whether something was read."""
        if self._pipe is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return False
        if not self._poll.poll(seconds * 1000):
            return False
        read = os.read(self._pipe.fileno(), _READ)
        if not read:
            self._pipe = None
        self.output += read
        del self.output[:-OUTPUT_KEPT]
        return bool(read)

    def _signal(self, number: signal.Signals) -> None:
        # The group outlives its leader as long as anything in it runs, and its number is not given away before.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _cannot_start(program: str, error: OSError | ValueError | KeyError) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            f"{program} cannot be started: there is no such program (or none that its first line names); it must be "
            "absolute, on PATH, or given relative to the repository's root and lie inside the application's paths"
        )
    if isinstance(error, PermissionError):
        return f"{program} cannot be started: it is not executable, or its folder may not be entered"
    return f"{program} cannot be started: {error}"[:MESSAGE_LENGTH]


def _sentence(program: str, code: int, ending: Ending, terms: Terms) -> str:
    if ending is Ending.SUCCEEDED:
        return f"{program} succeeded"
    if ending is Ending.TIMED_OUT:
        return f"{program} was ended after {terms.timeout:g} s"
    if ending is Ending.INTERRUPTED:
        return f"{program} was ended because it is no longer wanted"
    if code < 0:
        return f"{program} was killed by signal {-code}"
    return f"{program} failed with exit code {code}"


def _last_lines(output: bytes, masked: Iterable[str]) -> str:
    """The last lines as one bounded line of printable text."""
    text = output.decode("utf-8", "replace")
    for value in sorted((value for value in masked if len(value) >= MASKED_LENGTH), key=len, reverse=True):
        text = text.replace(value, "***")
    lines = (_UNPRINTABLE.sub(" ", line).strip() for line in text.splitlines())
    return " | ".join([line for line in lines if line][-MESSAGE_LINES:])[-MESSAGE_LENGTH:]
