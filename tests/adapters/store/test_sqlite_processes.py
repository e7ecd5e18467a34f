"""Several processes on one file, and processes that are killed in the middle of a write."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from controller.adapters.store import SqliteStore
from controller.core.application import ApplicationKey
from controller.ports.store import Change

WRITER = """
import sys
from pathlib import Path
from controller.adapters.store import SqliteStore
from controller.core.alerts import Alert, AlertName
from controller.core.application import ApplicationKey
from controller.ports.store import AnalysisRecord, Change, Decision

key = ApplicationKey("shop", "checkout")
store = SqliteStore(Path(sys.argv[1]))
found = store.rollout(key)
version = found.version if found else 0
alert = Alert(AlertName.HOLD, key, "s", "d" * 3000, 1.0)
while True:
    entry = store.receive("sync", key, "x" * 2000, 1.0)
    print("received", version, flush=True)
    record = AnalysisRecord(f"analysis-{version}", key, version, None, "a" * 40, "", "y" * 5000)
    made = Decision(f"decision-{version}", key, "k", (), 1.0)
    change = Change(key, version, "z" * 3000, (record,), (("on-call", alert),), (entry,), (made,))
    version = store.commit(change)
    print("committed", version, flush=True)
"""

SENDER = """
import sys
from pathlib import Path
from controller.adapters.store import SqliteStore
from controller.core.application import ApplicationKey

sys.stdin.readline()
store = SqliteStore(Path(sys.argv[1]), busy_timeout=30.0)
for number in range(40):
    store.receive("sync", ApplicationKey("shop", sys.argv[2]), str(number), 1.0)
store.close()
"""


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_leaves_each_step_whole_or_undone(tmp_path: Path, seed: int) -> None:
    """A writer is killed at a random moment; afterwards all parts of a step are there or none, and none told is lost."""
    path = tmp_path / "state.db"
    stop_after = random.Random(seed).randrange(5, 80)
    writer = start(WRITER, str(path))
    assert writer.stdout is not None
    lines = [writer.stdout.readline().split() for _ in range(stop_after)]
    os.kill(writer.pid, signal.SIGKILL)
    lines += [line.split() for line in writer.stdout.read().splitlines()]
    writer.communicate()
    told = max((int(version) for word, version, *_ in lines if word == "committed"), default=0)
    received = sum(1 for word, *_ in lines if word == "received")

    store = SqliteStore(path)
    store.acquire_controller_lock()
    found = store.rollout(ApplicationKey("shop", "checkout"))
    version = found.version if found else 0
    counts = (len(store.analyses(limit=1000)), store.outbox_pending(), len(store.decisions(0.0)))
    waiting = len(store.inbox())
    store.close()
    assert version in (told, told + 1)
    assert counts == (version, version, version)
    assert waiting in (received - version, received - version + 1)


def test_processes_that_create_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Three processes make the same new file at the same moment and write to it: every entry is there, in order."""
    path = tmp_path / "state.db"
    senders = [start(SENDER, str(path), name) for name in ("a", "b", "c")]
    for sender in senders:
        assert sender.stdin is not None
        sender.stdin.write("go\n")
        sender.stdin.flush()
    for sender in senders:
        sender.communicate()
        assert sender.returncode == 0
    store = SqliteStore(path)
    entries = store.inbox()
    store.close()
    by_name = {name: [each.body for each in entries if each.application.name == name] for name in "abc"}
    assert by_name == {name: [str(number) for number in range(40)] for name in "abc"}


def test_a_controller_goes_on_while_the_command_line_writes(tmp_path: Path) -> None:
    """Commits of one process and inbox entries of another do not get in each other's way."""
    path = tmp_path / "state.db"
    key = ApplicationKey("shop", "checkout")
    store = SqliteStore(path)
    before = store.changed()
    sender = start(SENDER, str(path), "a")
    assert sender.stdin is not None
    sender.stdin.write("go\n")
    sender.stdin.flush()
    version = 0
    while sender.poll() is None:
        version = store.commit(Change(key, version, "body"))
    sender.communicate()
    assert sender.returncode == 0
    assert len(store.inbox()) == 40
    assert store.changed() != before
    found = store.rollout(key)
    assert found is not None
    assert found.version == version
    store.close()


def test_a_log_that_is_cut_off_is_read_up_to_the_last_whole_step(tmp_path: Path) -> None:
    """A power cut leaves half a frame in the log: what came before it is there."""
    path = tmp_path / "state.db"
    key = ApplicationKey("shop", "checkout")
    store = SqliteStore(path)
    keep_log = sqlite3.connect(path)
    keep_log.execute("SELECT count(*) FROM rollouts").fetchone()
    for version in range(5):
        store.commit(Change(key, version, f"body {version}"))
    log = path.with_name("state.db-wal").read_bytes()
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    copy.with_name("copy.db-wal").write_bytes(log[:-100])
    keep_log.close()
    store.close()
    restored = SqliteStore(copy)
    restored.acquire_controller_lock()
    found = restored.rollout(key)
    restored.close()
    assert found is not None
    assert (found.version, found.body) == (4, "body 3")
