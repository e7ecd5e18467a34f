"""Files exchanged in a bare mirror, on real Git: modes are kept, nothing is followed, nothing else changes."""

import shutil
from pathlib import Path

import pytest

from controller.adapters.repository import GitRepository, editing, versions
from controller.core.application import Revision
from controller.core.git import BuiltCommit, CommitIdentity, PushResult
from controller.ports.repository import InvalidReference, RevisionUnknown
from tests.servers.git import GitRemote, Raw, run_git


def build(repository: GitRepository, parent: Revision, tree: str) -> BuiltCommit:
    return repository.build(parent=parent, tree=tree, message="Promote\n", identity=CommitIdentity(), at=1.8e9)


def modes(remote: GitRemote, revision: str) -> dict[str, str]:
    listed = run_git("ls-tree", "-r", revision, cwd=remote.folder).decode().splitlines()
    return {line.split("\t")[1]: line.split()[0] for line in listed}


def test_modes_are_kept(remote: GitRemote, repository: GitRepository) -> None:
    """An executable file stays one, a new one is a plain file; links and submodules beside them stay."""
    first = Revision(
        remote.commit(
            {
                "run": Raw(b"1", "100755"),
                "plain": "1",
                "link": Raw(b"run", "120000"),
                "sub": Raw(b"ab" * 20, "160000"),
            }
        )
    )
    written = repository.write(first, {"run": b"2", "plain": b"2", "new/x": b"2"}, create=True)
    assert written.changed == ("new/x", "plain", "run")
    commit = build(repository, first, written.tree)
    assert repository.push(commit, "main", first).result is PushResult.PUSHED
    assert modes(remote, "main") == modes(remote, first) | {"new/x": "100644"}
    assert remote.read("main", "run") == b"2"


@pytest.mark.parametrize("path", ["link", "sub", "folder-link", "folder-link/x", "sub/x", "run/x"])
def test_nothing_is_followed(remote: GitRemote, repository: GitRepository, path: str) -> None:
    """A link, a submodule and what lies behind one are neither written nor made."""
    first = Revision(
        remote.commit(
            {
                "run": Raw(b"1", "100755"),
                "folder/x": "1",
                "link": Raw(b"run", "120000"),
                "folder-link": Raw(b"folder", "120000"),
                "sub": Raw(b"ab" * 20, "160000"),
            }
        )
    )
    for create in (False, True):
        with pytest.raises(InvalidReference):
            repository.write(first, {path: b"x"}, create=create)
    if "/" in path:
        assert repository.files(first, [path]) == {path: None}
    else:
        with pytest.raises(InvalidReference, match="no regular file"):
            repository.files(first, [path, "run"])


def test_bytes_are_bytes(remote: GitRemote, repository: GitRepository) -> None:
    """Line ends, attributes and odd bytes are neither converted nor filtered; names may be any text."""
    body = b"\xff\x00a\r\nb\n$Id$"
    name = "ordner/ü ö \\ \"x'.yaml"
    first = Revision(remote.commit({".gitattributes": "* text eol=lf ident filter=evil\n", name: "1"}))
    written = repository.write(first, {name: body})
    repository.push(build(repository, first, written.tree), "main", first)
    assert remote.read("main", name) == body
    assert repository.files(Revision(remote.head()), [name]) == {name: body}


def test_sha256_too(tmp_path: Path) -> None:
    """A repository with the longer object names works the same."""
    remote = GitRemote(tmp_path / "remote.git", object_format="sha256")
    repository = GitRepository(remote.url, mirror_root=tmp_path / "mirrors")
    first = Revision(remote.commit({"a/b": "1"}))
    remote.tag("v1", first)
    written = repository.write(first, {"a/b": b"2"})
    assert repository.push(build(repository, first, written.tree), "main", first).result is PushResult.PUSHED
    assert [tag.revision for tag in repository.tags()] == [first]


def test_a_mirror_that_is_gone(remote: GitRemote, repository: GitRepository, tmp_path: Path) -> None:
    """The tree is lost with it: building says so, writing again brings it back with the same id."""
    first = Revision(remote.commit({"a": "1"}))
    written = repository.write(first, {"a": b"2"})
    shutil.rmtree(tmp_path / "mirrors")
    repository.fetch("main")
    with pytest.raises(RevisionUnknown):
        build(repository, first, written.tree)
    with pytest.raises(RevisionUnknown):
        repository.diff(first, written.tree)
    assert repository.write(first, {"a": b"2"}) == written
    assert build(repository, first, written.tree).parent == first


def test_two_that_write_on_one_head(remote: GitRemote, repository: GitRepository, tmp_path: Path) -> None:
    """The later push is stale; written again on the new head, both changes are there."""
    first = Revision(remote.commit({"a": "1", "b": "1"}))
    other = GitRepository(remote.url, mirror_root=tmp_path / "others")
    mine, theirs = repository.write(first, {"a": b"2"}), other.write(first, {"b": b"2"})
    assert other.push(build(other, first, theirs.tree), "main", first).result is PushResult.PUSHED
    assert repository.push(build(repository, first, mine.tree), "main", first).result is PushResult.STALE
    head = repository.fetch("main")
    again = repository.write(head, {"a": b"2"})
    assert repository.push(build(repository, head, again.tree), "main", head).result is PushResult.PUSHED
    assert remote.files() == {"a": b"2", "b": b"2"}
    assert repository.write(repository.fetch("main"), {"a": b"2"}).changed == ()


def test_a_binary_difference_is_named(remote: GitRemote, repository: GitRepository) -> None:
    """What is no text is told by its name."""
    first = Revision(remote.commit({"a": b"\0\1"}))
    told = repository.diff(first, repository.write(first, {"a": b"\0\2"}).tree)
    assert "Binary files a/a and b/a differ" in told


def test_many_tags_are_refused(remote: GitRemote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than can be listed are an error that says what to write; a narrower pattern works."""
    first = remote.commit({"a": "1"})
    for number in range(4):
        remote.tag(f"v{number}", first)
    monkeypatch.setattr(versions, "MOST_TAGS", 3)
    with pytest.raises(InvalidReference, match="write a narrower pattern"):
        repository.tags()
    assert len(repository.tags("v[12]")) == 2


def test_hostile_names_of_tags_are_left_out(remote: GitRemote, repository: GitRepository) -> None:
    """A name that Git forbids cannot come from a server's list."""
    first = remote.commit({"a": "1"})
    remote.tag("good", first)
    packed = f"# pack-refs with: peeled fully-peeled sorted \n{first} refs/tags/-x\n{first} refs/tags/ok\n"
    (remote.folder / "packed-refs").write_text(packed)
    assert [tag.name for tag in repository.tags()] == ["good", "ok"]


def test_more_commits_than_can_be_told(
    remote: GitRemote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a branch the newest are kept; between two versions it is an error, since authors would be missing."""
    made = [Revision(remote.commit({"a": str(number)})) for number in range(4)]
    monkeypatch.setattr(versions, "MOST_BRANCH_COMMITS", 2)
    monkeypatch.setattr(versions, "MOST_BETWEEN", 2)
    assert [each.revision for each in repository.branch_commits("main", None, [""])] == made[2:]
    with pytest.raises(InvalidReference, match="more than 2 commits lie between"):
        repository.commits_between(made[0], made[3], [""])
    assert [each.revision for each in repository.commits_between(made[1], made[3], [""])] == made[2:]


def test_files_are_bounded_together(
    remote: GitRemote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many large files are refused before they are read."""
    first = Revision(remote.commit({"a": "x" * 60, "b": "y" * 60}))
    monkeypatch.setattr(editing, "MOST_BYTES", 100)
    with pytest.raises(InvalidReference, match="larger than 100 bytes together"):
        repository.files(first, ["a", "b"])
    assert repository.files(first, ["a"]) == {"a": b"x" * 60}
