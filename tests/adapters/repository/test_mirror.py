"""The kept mirror: corrupt, locked, shared, lost, and what a server may refuse to hand out."""

import fcntl
import multiprocessing
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from controller.adapters.repository import GitRepository
from controller.adapters.repository import mirror as mirrors
from controller.adapters.repository.failures import RevisionHidden
from controller.adapters.repository.process import Finished
from controller.core.application import Revision
from controller.core.git import RestoreRequest, RollbackPath
from controller.ports.repository import RepositoryBroken, RepositoryUnavailable, RevisionUnknown
from tests.servers.git import GitRemote


def folder_of(root: Path) -> Path:
    (found,) = (root / "mirrors").glob("*.git")
    return found


def empty_packs(mirror: Path) -> None:
    for pack in mirror.glob("objects/pack/*"):
        pack.chmod(0o644)
        pack.write_bytes(b"")


def drop_packs(mirror: Path) -> None:
    for pack in mirror.glob("objects/pack/*"):
        pack.unlink()


def flip_bytes(mirror: Path) -> None:
    for pack in mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o644)
        body = bytearray(pack.read_bytes())
        body[20:-20] = bytes(byte ^ 0x5A for byte in body[20:-20])
        pack.write_bytes(body)


def empty_refs(mirror: Path) -> None:
    for ref in mirror.glob("refs/rollguard/heads/*"):
        ref.write_bytes(b"\0" * 41)


def break_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core\n\x00")


def drop_head(mirror: Path) -> None:
    (mirror / "HEAD").unlink()


def empty_head(mirror: Path) -> None:
    (mirror / "HEAD").write_text("")


@pytest.fixture
def story(remote: GitRemote, repository: GitRepository) -> tuple[Revision, Revision]:
    """More objects than Git unpacks, so that the mirror holds a pack."""
    good = remote.commit({"app/a.yaml": "version: 1\n"} | {f"other/{number}": str(number) for number in range(120)})
    bad = remote.commit({"app/a.yaml": "version: bad\n"})
    repository.fetch("main")
    return Revision(good), Revision(bad)


@pytest.mark.parametrize(
    "damage",
    [empty_packs, drop_packs, flip_bytes, empty_refs, break_config, drop_head, empty_head],
    ids=lambda f: f.__name__,
)
def test_a_corrupt_mirror_is_made_again(
    story: tuple[Revision, Revision],
    repository: GitRepository,
    remote: GitRemote,
    tmp_path: Path,
    damage: Callable[[Path], None],
) -> None:
    """Whatever is broken in the mirror, the next look makes it again and answers as if nothing had been (fault 28)."""
    good, bad = story
    request = RestoreRequest("main", ("app",), good, bad)
    before = repository.inspect(request)
    damage(folder_of(tmp_path))
    with structlog.testing.capture_logs() as logs:
        assert repository.inspect(request) == before
    if damage not in (
        drop_head,
        drop_packs,
    ):  # no mirror at all, and one that a fetch fills again: nothing to discard
        assert [entry["event"] for entry in logs] == ["mirror_corrupt"]
    assert repository.content(good, ["app"]) == before.target_content


def test_a_mirror_without_a_remote_stays_an_error(
    remote: GitRemote, repository: GitRepository, tmp_path: Path
) -> None:
    """The mirror is corrupt and the server is gone: an error of the tree, and it mends when the server is back."""
    remote.commit({"a": "1"})
    repository.fetch("main")
    break_config(folder_of(tmp_path))
    away = remote.folder.with_name("away.git")
    remote.folder.rename(away)
    for _ in range(2):
        with pytest.raises(RepositoryUnavailable):
            repository.fetch("main")
    away.rename(remote.folder)
    assert repository.fetch("main") == remote.head()


def test_a_mirror_that_is_no_folder_is_told(remote: GitRemote, tmp_path: Path) -> None:
    """A file in the place of the mirrors' folder is RepositoryBroken."""
    remote.commit({"a": "1"})
    (tmp_path / "mirrors").write_text("")
    with pytest.raises(RepositoryBroken):
        GitRepository(remote.url, mirror_root=tmp_path / "mirrors").fetch("main")


def test_a_full_disk_is_told(
    remote: GitRemote, repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git says that no space is left: RepositoryBroken, with what to do (fault 28)."""
    remote.commit({"a": "1"})
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(
        '#!/bin/sh\ncase "$1" in fetch) echo "fatal: write error: No space left on device" >&2; exit 128;; esac\n'
        f'export PATH="{os.environ["PATH"]}"\nexec git "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    with pytest.raises(RepositoryBroken, match="no space left"):
        repository.fetch("main")


def test_a_lock_that_a_killed_git_left(remote: GitRemote, tmp_path: Path) -> None:
    """An old lock file is taken away and the operation goes on; a young one may be a living process's."""
    repository = GitRepository(remote.url, mirror_root=tmp_path / "mirrors", timeout=5.0)
    remote.commit({"a": "1"})
    repository.fetch("main")
    (ref,) = folder_of(tmp_path).glob("refs/rollguard/heads/*")
    lock = ref.with_name(ref.name + ".lock")
    remote.commit({"a": "2"})
    lock.touch()
    with pytest.raises(RepositoryUnavailable):
        repository.fetch("main")
    os.utime(lock, (0, 0))
    assert repository.fetch("main") == remote.head()
    assert not lock.exists()


def test_another_process_holds_the_mirror(remote: GitRemote, tmp_path: Path) -> None:
    """The lock of another process is waited for, within the timeout."""
    remote.commit({"a": "1"})
    repository = GitRepository(remote.url, mirror_root=tmp_path / "mirrors", timeout=0.3)
    GitRepository(remote.url, mirror_root=tmp_path / "mirrors").fetch("main")
    lock = folder_of(tmp_path).with_suffix(".lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(RepositoryUnavailable, match="another process"):
            repository.fetch("main")
    assert repository.fetch("main") == remote.head()


def _fetch_often(url: str, root: Path, heads: "multiprocessing.Queue[str]") -> None:
    repository = GitRepository(url, mirror_root=root)
    for _ in range(5):
        heads.put(repository.fetch("main"))


def test_two_processes_share_a_mirror(remote: GitRemote, tmp_path: Path) -> None:
    """Two processes begin at once on an empty folder: both get the head, and there is one mirror."""
    remote.commit({"a": "1"})
    context = multiprocessing.get_context("spawn")
    heads: multiprocessing.Queue[str] = context.Queue()
    processes = [
        context.Process(target=_fetch_often, args=(remote.url, tmp_path / "mirrors", heads)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    told = [heads.get(timeout=60) for _ in range(10)]
    for process in processes:
        process.join(timeout=60)
    assert set(told) == {remote.head()}
    assert folder_of(tmp_path)


def test_threads_share_a_repository(story: tuple[Revision, Revision], repository: GitRepository) -> None:
    """Calls from several threads at once all answer right."""
    good, bad = story
    answers: list[object] = []

    def ask() -> None:
        answers.append(repository.inspect(RestoreRequest("main", ("app",), good, bad)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)


def test_spellings_of_one_url_share_a_mirror(remote: GitRemote, tmp_path: Path) -> None:
    """The canonical URL names the mirror's folder."""
    remote.commit({"a": "1"})
    for url in (remote.url, str(remote.folder), remote.url + "/"):
        GitRepository(url, mirror_root=tmp_path / "mirrors").fetch("main")
    assert folder_of(tmp_path)


def test_a_revision_outside_of_the_branch_is_fetched_by_name(remote: GitRemote, repository: GitRepository) -> None:
    """What lies on another branch only is brought when it is asked for, into an empty mirror too."""
    first = Revision(remote.commit({"a": "1"}))
    side = Revision(remote.commit({"a": "2"}, branch="side", parents=[first]))
    assert repository.commit(side).parents == (first,)
    repository.fetch("main")
    assert not repository.is_ancestor(side, first)


def test_a_server_that_hides_revisions(remote: GitRemote, repository: GitRepository) -> None:
    """Where a revision is not handed out by its name, all branches are fetched and looked through."""
    first = Revision(remote.commit({"a": "1"}))
    old = Revision(remote.commit({"a": "2"}, branch="side", parents=[first]))
    remote.commit({"a": "3"}, branch="side")
    repository.fetch("main")
    mirror = repository._mirror
    bring, asked = mirror._bring, []

    def refuse_names(refspec: str, *options: str) -> None:
        asked.append(refspec)
        if old in refspec:
            raise RevisionHidden("Server does not allow request for unadvertised object")
        bring(refspec, *options)

    mirror._bring = refuse_names  # type: ignore[method-assign]
    assert repository.is_ancestor(first, old)
    assert len(asked) == 2


def test_a_branch_in_the_place_of_a_gone_one(remote: GitRemote, repository: GitRepository) -> None:
    """``a`` is deleted and ``a/b`` made: no name in the mirror stands in the way."""
    remote.commit({"x": "1"}, branch="a")
    repository.fetch("a")
    subprocess.run(["git", "-C", str(remote.folder), "update-ref", "-d", "refs/heads/a"], check=True)
    made = remote.commit({"x": "2"}, branch="a/b", parents=[])
    assert repository.fetch("a/b") == made
    with pytest.raises(RevisionUnknown):
        repository.fetch("a")


def test_tending_packs_what_gathered(remote: GitRemote, repository: GitRepository, tmp_path: Path) -> None:
    """The daily look packs a mirror with many loose objects, sweeps old leftovers, and answers stay the same."""
    remote.commit({"a": "1"})
    repository.fetch("main")
    mirror = folder_of(tmp_path)
    leftover = mirror / "objects" / "pack" / "tmp_pack_dead"
    leftover.parent.mkdir(exist_ok=True)
    leftover.touch()
    os.utime(leftover, (0, 0))
    blobs = "".join(f"blob\ndata <<X\n{number}\nX\n" for number in range(9000))
    subprocess.run(
        ["git", "-C", str(mirror), "-c", "fastimport.unpackLimit=100000", "fast-import", "--quiet"],
        input=blobs,
        text=True,
        check=True,
    )
    loose = sum(1 for _ in mirror.glob("objects/??/*"))
    assert repository.rollback_path("main")
    assert not leftover.exists()
    assert loose > 9000
    assert sum(1 for _ in mirror.glob("objects/??/*")) < 100
    assert repository.fetch("main") == remote.head()


def test_packing_that_fails_closes_no_way(
    remote: GitRemote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daily look tells the way even where the mirror could not be packed; that is said in the log."""
    remote.commit({"a": "1"})
    monkeypatch.setattr(mirrors, "_MOST_PACKS", -1)
    run = repository._mirror.git

    def fail(*arguments: str, **more: Any) -> Finished:
        if arguments[0] == "repack":
            raise RepositoryBroken("no space left")
        return run(*arguments, **more)

    monkeypatch.setattr(repository._mirror, "git", fail)
    with structlog.testing.capture_logs() as logs:
        assert repository.rollback_path("main") is RollbackPath.PUSH
    assert [entry["event"] for entry in logs] == ["mirror_not_packed"]


def test_an_empty_repository(remote: GitRemote, repository: GitRepository) -> None:
    """No branch at all: unknown, no crash."""
    with pytest.raises(RevisionUnknown):
        repository.fetch("main")


def test_no_repository_there(tmp_path: Path) -> None:
    """A path without a repository is Unavailable, and leaves no mirror behind."""
    with pytest.raises(RepositoryUnavailable):
        GitRepository(f"file://{tmp_path}/nothing", mirror_root=tmp_path / "mirrors").fetch("main")
    assert not list((tmp_path / "mirrors").glob("*.git"))
