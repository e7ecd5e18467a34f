"""The SQLite store's file: who may open it, in which version, and what is said when it cannot be used."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.store import SqliteStore
from controller.adapters.store.schema import APPLICATION_ID, MIGRATIONS
from controller.core.alerts import Alert, AlertName
from controller.core.application import ApplicationKey
from controller.ports.store import Change, StoreError, StoreIncompatible, StoreUnavailable

CHECKOUT = ApplicationKey("shop", "checkout")

VERSION_1 = """
CREATE TABLE rollouts (namespace TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (namespace, name));
CREATE TABLE analyses (id TEXT PRIMARY KEY NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    started_at REAL NOT NULL, ended_at REAL, revision TEXT NOT NULL, verdict TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX analyses_by_application ON analyses (namespace, name, started_at);
CREATE TABLE inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, namespace TEXT NOT NULL,
    name TEXT NOT NULL, body TEXT NOT NULL, received_at REAL NOT NULL);
CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, alert TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL DEFAULT 0);
CREATE TABLE pauses (scope TEXT PRIMARY KEY NOT NULL, until REAL, reason TEXT NOT NULL, by_whom TEXT NOT NULL,
    at REAL NOT NULL);
CREATE TABLE decisions (id TEXT PRIMARY KEY NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL,
    suspects TEXT NOT NULL, decided_at REAL NOT NULL, pushed_at REAL);
INSERT INTO rollouts VALUES ('shop', 'checkout', 7, 'body of seven');
INSERT INTO inbox (kind, namespace, name, body, received_at) VALUES ('sync', 'shop', 'checkout', '{}', 3.5);
INSERT INTO outbox (sink, alert) VALUES ('on-call', '{"name": "RollguardHold", "application": {"namespace": "shop",
    "name": "checkout"}, "summary": "held", "description": "", "started_at": 1.0}');
INSERT INTO pauses VALUES ('*', NULL, 'incident', 'ada', 1.0);
INSERT INTO decisions VALUES ('d1', 'shop', 'checkout', 'key', '["b"]', 2.0, NULL);
PRAGMA application_id = 1383033959;
PRAGMA user_version = 1;
"""
"""The schema as version 1 had it, with rows; not made from the present code, so that an edited migration shows."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(path)
    yield made
    made.close()


def layout(path: Path) -> set[tuple[str, str]]:
    connection = sqlite3.connect(path)
    found = set(connection.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
    connection.close()
    return found


def write(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """The folder is made, and nobody else can read the file, its log or its lock."""
    path = tmp_path / "deep" / "er" / "state.db"
    before = os.umask(0)
    try:
        store = SqliteStore(path)
        store.acquire_controller_lock()
        store.commit(Change(CHECKOUT, 0, "body"))
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    store.close()
    assert modes == dict.fromkeys(["state.db", "state.db-wal", "state.db-shm", "state.db.lock"], 0o600)


def test_a_file_that_others_can_read_is_closed_to_them(path: Path) -> None:
    """A mode that was too wide is narrowed when the file is opened."""
    SqliteStore(path).close()
    path.chmod(0o644)
    SqliteStore(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_written_ahead_and_flushed_at_each_commit(store: SqliteStore) -> None:
    """WAL with synchronous=FULL (2): a commit that returned survives a power cut."""
    with store._database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_a_file_of_version_1_is_brought_forward(path: Path) -> None:
    """What version 1 wrote is there after the migration, and the layout is that of a new file."""
    write(path, VERSION_1)
    store = SqliteStore(path)
    rollout, entry, told = store.rollout(CHECKOUT), store.inbox()[0], store.outbox("on-call", 0.0)[0]
    store.postpone(told.id, 5.0, "down")
    store.close()
    assert rollout is not None
    assert (rollout.version, rollout.body) == (7, "body of seven")
    assert (entry.body, entry.received_at) == ("{}", 3.5)
    assert told.alert.name is AlertName.HOLD
    new = path.with_name("new.db")
    SqliteStore(new).close()
    assert layout(path) == layout(new)


def test_the_command_line_does_not_migrate(path: Path) -> None:
    """Without ``create`` an older file is left as it is, and the sentence says how to go on."""
    write(path, VERSION_1)
    before = layout(path)
    with pytest.raises(StoreIncompatible, match="start `rollguard run`"):
        SqliteStore(path, create=False)
    assert layout(path) == before


def test_a_migration_waits_for_the_older_controller(path: Path) -> None:
    """While a controller of the older version runs, a newer one does not change the schema under it."""
    write(path, VERSION_1)
    holder = hold_lock(path)
    try:
        with pytest.raises(StoreUnavailable, match=r"another `rollguard run` \(process \d+\)"):
            SqliteStore(path)
    finally:
        holder.kill()
        holder.communicate()
    SqliteStore(path).close()


def test_a_failed_migration_leaves_the_old_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a migration is applied, or nothing."""
    SqliteStore(path).close()
    before = layout(path)
    broken = (*MIGRATIONS, ("CREATE TABLE added (x)", "this is no SQL"))
    monkeypatch.setattr("controller.adapters.store.schema.migrate.__defaults__", (broken,))
    monkeypatch.setattr("controller.adapters.store.database.MIGRATIONS", broken)
    with pytest.raises(StoreError):
        SqliteStore(path)
    monkeypatch.undo()
    assert layout(path) == before
    SqliteStore(path).close()


def test_a_newer_file_is_refused_unchanged(path: Path) -> None:
    """What a newer version wrote is not touched, and the sentence says what to do."""
    SqliteStore(path).close()
    write(path, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(StoreIncompatible, match="newer version of Rollguard"):
        SqliteStore(path)


def test_another_programs_database_is_refused(path: Path) -> None:
    """A file with somebody else's tables gets none of ours."""
    write(path, "CREATE TABLE precious (x)")
    with pytest.raises(StoreIncompatible, match="another program"):
        SqliteStore(path)
    assert layout(path) == {("table", "precious")}


def test_the_mark_of_our_files_never_changes() -> None:
    """Files in the field carry this number."""
    assert APPLICATION_ID == 1383033959


def test_a_missing_file_is_not_made_by_the_command_line(path: Path) -> None:
    """A wrong path is said, and no empty store appears."""
    with pytest.raises(StoreUnavailable, match="does not exist yet: start `rollguard run`"):
        SqliteStore(path, create=False)
    assert not path.exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file where a folder should be: a sentence with the remedy."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"cannot be made or opened .* store\.sqlite"):
        SqliteStore(tmp_path / "file" / "state.db")
    with pytest.raises(StoreUnavailable, match="is no file"):
        SqliteStore(tmp_path)


def test_rubbish_is_no_database(path: Path) -> None:
    """A file that is no database is left as it is, and the remedy is named."""
    path.write_bytes(b"rubbish " * 1000)
    with pytest.raises(StoreUnavailable, match=r"damaged.*move it aside"):
        SqliteStore(path)
    assert path.read_bytes() == b"rubbish " * 1000


def test_a_damaged_page_is_found_when_the_controller_starts(path: Path) -> None:
    """The header is sound and a page behind it is not: found before anything is decided on it."""
    store = SqliteStore(path)
    for number in range(200):
        store.commit(Change(ApplicationKey("shop", f"app-{number}"), 0, "x" * 2000))
    store.close()
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096 * 8)
    damaged = SqliteStore(path)
    with pytest.raises(StoreUnavailable, match="damaged"):
        damaged.acquire_controller_lock()
    with pytest.raises(StoreUnavailable, match="damaged"):
        damaged.rollouts()
    damaged.close()


def test_a_full_disk_loses_nothing_that_was_there(store: SqliteStore) -> None:
    """SQLITE_FULL: the step is refused whole with a remedy, and once there is room the store goes on."""
    store.commit(Change(CHECKOUT, 0, "before"))
    with store._database.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    told = Alert(AlertName.HOLD, CHECKOUT, "s", "d" * 50_000, 1.0)
    with pytest.raises(StoreUnavailable, match=r"full: free space .* nothing of this step was written"):
        store.commit(Change(CHECKOUT, 1, "after", alerts=(("on-call", told),)))
    found = store.rollout(CHECKOUT)
    assert found is not None
    assert (found.version, found.body) == (1, "before")
    assert store.outbox_pending() == 0
    with store._database.reading() as connection:
        connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert store.commit(Change(CHECKOUT, 1, "after", alerts=(("on-call", told),))) == 2


def test_a_lock_held_too_long_is_said(path: Path) -> None:
    """Another process writes for longer than the wait: unavailable, and nothing hangs."""
    store = SqliteStore(path, busy_timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        store.receive("sync", CHECKOUT, "{}", 1.0)
    assert store.inbox() == []
    other.execute("ROLLBACK")
    other.close()
    store.receive("sync", CHECKOUT, "{}", 1.0)
    store.close()


def test_a_read_only_file_is_said(path: Path) -> None:
    """A file that cannot be written names the user's rights."""
    store = SqliteStore(path)
    with store._database.reading() as connection:
        connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="must belong to the user"):
        store.resume(None)
    store.close()


def test_one_controller_at_a_time(path: Path) -> None:
    """The second `rollguard run` is told which process uses the file; after that one's end it may."""
    holder = hold_lock(path)
    store = SqliteStore(path)
    try:
        with pytest.raises(StoreUnavailable, match=rf"process {holder.pid}\) uses {path}: stop it first"):
            store.acquire_controller_lock()
    finally:
        holder.kill()
        holder.communicate()
    store.acquire_controller_lock()
    store.acquire_controller_lock()
    store.close()
    again = SqliteStore(path)
    again.acquire_controller_lock()
    again.close()


def test_an_unreadable_alert_holds_up_no_other(store: SqliteStore) -> None:
    """An alert of a version that is not known waits, the others go out."""
    good = Alert(AlertName.HOLD, CHECKOUT, "s", "d", 1.0)
    store.enqueue([("on-call", good), ("on-call", good)])
    with store._database.writing() as connection:
        connection.execute('UPDATE outbox SET alert = \'{"name": "Unheard"}\' WHERE id = 1')
    assert [each.id for each in store.outbox("on-call", 10.0)] == [2]
    assert store.outbox_pending() == 2
    assert [each.id for each in store.outbox("on-call", 10.0, limit=1)] == [2]


def hold_lock(path: Path) -> "subprocess.Popen[str]":
    """A process that holds the controller's lock; it ends with its standard input."""
    code = (
        "import sys; from pathlib import Path; from controller.adapters.store.controller_lock import ControllerLock\n"
        "lock = ControllerLock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process
