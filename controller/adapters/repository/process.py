"""Run one child process to its end, within a deadline and a bound on what it may say.

Invariant: when ``finish`` returns or raises, the child has ended and was waited for; when it was stopped, its whole
process group was.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, cast

_CHUNK = 1 << 16
_GRACE = 0.5
"""Seconds between SIGTERM (Git takes its lock files away and stops its children) and SIGKILL."""
_LONGEST_ERROR = 1 << 18

Sink = Callable[[bytes], None]


class TimedOut(Exception):  # noqa: N818  an outcome, mapped by the caller
    """The deadline passed."""


class TooMuchOutput(Exception):  # noqa: N818
    """The process wrote more than it may."""


class Deadline:
    """A point on the monotonic clock by which an operation must be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, negative when over."""
        return self._end - time.monotonic()

    def allow(self, seconds: float) -> None:
        """Set the end to this many seconds from now, if that is later."""
        self._end = max(self._end, time.monotonic() + seconds)


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ran to its end."""

    code: int
    out: bytes
    err: bytes


def finish(
    process: subprocess.Popen[bytes], feed: bytes, deadline: Deadline, limit: int, sink: Sink | None = None
) -> Finished:
    """Feed the process and collect what it says; ``sink`` takes its output in pieces instead of ``Finished.out``.

    Raises TimedOut or TooMuchOutput after killing the whole process group; the process must lead its own group.
    """
    try:
        pump = _Pump(process, feed, limit, sink)
        pump.run(deadline)
        code = process.wait(timeout=max(deadline.remaining(), 0.05))
    except subprocess.TimeoutExpired:
        raise TimedOut from None
    finally:
        if process.returncode is None:
            _kill_group(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
    return Finished(code, bytes(pump.out), bytes(pump.err))


class _Pump:
    """Moves bytes between the pipes without blocking on any of them."""

    def __init__(self, process: subprocess.Popen[bytes], feed: bytes, limit: int, sink: Sink | None) -> None:
        self._process, self._feed, self._limit, self._sink = process, memoryview(feed), limit, sink
        self._said = 0
        self.out, self.err = bytearray(), bytearray()

    def run(self, deadline: Deadline) -> None:
        """Until both outputs are closed."""
        with selectors.DefaultSelector() as selector:
            self._register(selector)
            while selector.get_map():
                left = deadline.remaining()
                if left <= 0:
                    raise TimedOut
                for key, _ in selector.select(left):
                    if not key.data():
                        selector.unregister(key.fileobj)
                        cast("IO[bytes]", key.fileobj).close()

    def _register(self, selector: selectors.BaseSelector) -> None:
        process = self._process
        for stream, event, act in (
            (process.stdin, selectors.EVENT_WRITE, self._write),
            (process.stdout, selectors.EVENT_READ, self._read_out),
            (process.stderr, selectors.EVENT_READ, self._read_err),
        ):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, event, act)

    def _write(self) -> bool:
        stream = self._process.stdin
        if stream is None:
            return False
        try:
            written = os.write(stream.fileno(), self._feed[:_CHUNK]) if self._feed else 0
        except BlockingIOError:
            return True
        except BrokenPipeError:  # it has read all that it wants
            return False
        self._feed = self._feed[written:]
        return bool(self._feed)

    def _read_out(self) -> bool:
        piece = self._read(self._process.stdout)
        self._said += len(piece or b"")
        if self._said > self._limit:
            raise TooMuchOutput
        if piece and self._sink:
            self._sink(piece)
        elif piece:
            self.out += piece
        return piece != b""

    def _read_err(self) -> bool:
        piece = self._read(self._process.stderr)
        self.err += (piece or b"")[: max(_LONGEST_ERROR - len(self.err), 0)]
        return piece != b""

    @staticmethod
    def _read(stream: object) -> bytes | None:
        try:
            return os.read(stream.fileno(), _CHUNK)  # type: ignore[attr-defined]
        except BlockingIOError:
            return None


class Conversation:
    """A process that is asked several times, each time within a deadline and a bound."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._err = bytearray()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)

    @property
    def complaint(self) -> bytes:
        """What it wrote to its standard error."""
        return bytes(self._err)

    def ask(
        self, feed: bytes, answered: Callable[[bytearray], bool], deadline: Deadline, limit: int
    ) -> bytearray | None:
        """Feed it and read until ``answered`` says that all is there; None where it ended before.

        Raises TimedOut or TooMuchOutput; the conversation must be closed then.
        """
        left, said = memoryview(feed), bytearray()
        with selectors.DefaultSelector() as selector:
            self._register(selector)
            while not answered(said):
                if deadline.remaining() <= 0:
                    raise TimedOut
                for key, _ in selector.select(deadline.remaining()):
                    if key.data == "in":
                        left = self._say(selector, left)
                    elif not self._hear(said if key.data == "out" else self._err, key.fd) and key.data == "out":
                        return None
                if len(said) > limit:
                    raise TooMuchOutput
        return said

    def close(self) -> None:
        """End the process and wait for it."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_GRACE)
        if self._process.returncode is None:
            _kill_group(self._process)

    def _register(self, selector: selectors.BaseSelector) -> None:
        process = self._process
        if process.stdin and process.stdout and process.stderr:
            selector.register(process.stdin, selectors.EVENT_WRITE, "in")
            selector.register(process.stdout, selectors.EVENT_READ, "out")
            selector.register(process.stderr, selectors.EVENT_READ, "err")

    def _say(self, selector: selectors.BaseSelector, left: memoryview) -> memoryview:
        stream = self._process.stdin
        if stream is None:
            return left
        try:
            left = left[os.write(stream.fileno(), left[:_CHUNK]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            left = left[:0]
        if not left:
            selector.unregister(stream)
        return left

    def _hear(self, into: bytearray, handle: int) -> bool:
        try:
            piece = os.read(handle, _CHUNK)
        except BlockingIOError:
            return True
        into += piece if into is not self._err else piece[: max(_LONGEST_ERROR - len(into), 0)]
        return piece != b""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_GRACE)
    _signal_group(process.pid, signal.SIGKILL)
    process.wait()
    _reap_group(process.pid)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _reap_group(group: int) -> None:
    """Where we are process 1, the killed child's own children have become ours: wait for them too."""
    deadline = Deadline(_GRACE)
    with contextlib.suppress(ChildProcessError):
        while deadline.remaining() > 0:
            if os.waitpid(-group, os.WNOHANG) == (0, 0):
                time.sleep(0.005)
