"""The thread that writes to the API server what others hand in."""

import threading

from controller.adapters.kubernetes.writer import Writer

SOON = 20.0


class Owner:
    """Keeps what waits, and notes what is written."""

    def __init__(self, fails: int = 0) -> None:
        self.waiting: list[str] = []
        self.written: list[str] = []
        self.fails = fails
        self.failed = threading.Event()
        self.both = threading.Event()
        self.writer = Writer("test", lambda: self.waiting.pop(0) if self.waiting else None, self.write)

    def hand_in(self, *each: str) -> None:
        with self.writer.changing():
            self.waiting.extend(each)

    def write(self, each: str) -> bool:
        if self.fails:
            self.fails -= 1
            with self.writer.changing():
                self.waiting.insert(0, each)
            self.failed.set()
            return False
        self.written.append(each)
        if len(self.written) == 2:
            self.both.set()
        return True


def test_what_waits_is_written_before_the_end() -> None:
    """What was handed in before and after the start is written in order; stopping waits for the rest of it."""
    owner = Owner()
    owner.hand_in("a", "b")
    owner.writer.start()
    owner.hand_in("c")
    owner.writer.stop(SOON)
    assert owner.written == ["a", "b", "c"]


def test_what_fails_is_tried_again() -> None:
    """After a failure it rests, and goes on afterwards; nothing is lost."""
    owner = Owner(fails=1)
    owner.hand_in("a")
    owner.writer.start()
    assert owner.failed.wait(SOON)
    owner.hand_in("b")
    assert owner.both.wait(SOON)
    owner.writer.stop(SOON)
    assert owner.written == ["a", "b"]


def test_what_fails_at_the_end_holds_nobody_up() -> None:
    """An API server that is away when the process ends is not waited for."""
    owner = Owner(fails=1000)
    owner.hand_in("a")
    owner.writer.start()
    assert owner.failed.wait(SOON)
    owner.writer.stop(SOON)
    assert owner.written == []
    assert owner.waiting == ["a"]
    assert not any(each.name == "test" for each in threading.enumerate())


def test_one_that_was_never_started_ends_at_once() -> None:
    """Stopping it is harmless."""
    Owner().writer.stop(SOON)
