"""Exports of hostile trees: nothing outside is written, nothing is run, and what is refused leaves nothing."""

import os
from pathlib import Path

import pytest

from controller.adapters.repository import GitRepository, export
from controller.core.application import Revision
from controller.ports.repository import InvalidReference
from tests.servers.git import GitRemote, Raw, run_git


def link(target: str) -> Raw:
    return Raw(target.encode(), "120000")


def test_files_modes_and_inner_links(remote: GitRemote, repository: GitRepository, tmp_path: Path) -> None:
    """Modes are kept, links inside stay links, a submodule is left out."""
    made = Revision(
        remote.commit(
            {"app/run": Raw(b"#!/bin/sh\n", "100755"), "app/conf/a": "1", "app/link": link("conf/a"),
             "app/dir": link("conf"), "app/up/back": link("../conf"), "app/sub": Raw(b"1" * 40, "160000"), "x": "x"}
        )
    )  # fmt: skip
    repository.export(made, ["app"], tmp_path / "out")
    out = tmp_path / "out" / "app"
    assert os.access(out / "run", os.X_OK)
    assert not os.access(out / "conf" / "a", os.X_OK)
    assert (out / "link").is_symlink()
    assert (
        (out / "link").read_text()
        == (out / "dir" / "a").read_text()
        == (out / "up" / "back" / "a").read_text()
        == "1"
    )
    assert not (out / "sub").exists()
    assert not (tmp_path / "out" / "x").exists()


@pytest.mark.parametrize(
    "files",
    [
        {"a": link("/etc/passwd")},
        {"a": link("../secret")},
        {"d/a": link("../../secret")},
        {"a": link("")},
        {"a": link("x\0y")},
        {"a": link("b/../.."), "b/c": "1"},
        {"deep/a/b/up": link("../../.."), "t": link("deep/a/b/up/..")},
        {"a": link("b"), "b": link("../secret")},
        {"a": link("a")},
    ],
)
def test_links_that_lead_out_are_refused(
    remote: GitRemote, repository: GitRepository, tmp_path: Path, files: dict[str, Raw | str]
) -> None:
    """Absolute, upwards, by way of another link, in a circle: refused, and the folder is empty again."""
    (tmp_path / "secret").write_text("secret")
    made = Revision(remote.commit(dict(files) | {"fine": "1"}))
    if files == {"a": link("a")}:  # a circle leads nowhere: harmless, and kept
        repository.export(made, [""], tmp_path / "out")
        return
    with pytest.raises(InvalidReference, match="leads out"):
        repository.export(made, [""], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def _tree(remote: GitRemote, *entries: tuple[str, bytes, str]) -> str:
    body = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
    made = run_git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", feed=body, cwd=remote.folder)
    return made.decode().strip()


def _commit(remote: GitRemote, tree: str) -> Revision:
    who = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x", "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x"}
    made = Revision(run_git("commit-tree", "-m", "hostile", tree, cwd=remote.folder, **who).decode().strip())
    remote.move("main", made)
    return made


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GIT", b"a/../../b", b"/etc", b""])
def test_names_that_lead_out_are_refused(
    remote: GitRemote, repository: GitRepository, tmp_path: Path, name: bytes
) -> None:
    """Trees that no Git would write, but a server may hold: refused before anything is written."""
    blob = run_git("hash-object", "-w", "--stdin", feed=b"evil", cwd=remote.folder).decode().strip()
    made = _commit(remote, _tree(remote, ("100644", name, blob)))
    with pytest.raises(Exception, match=r"hostile name|cannot be read|empty filename") as error:
        repository.export(made, [""], tmp_path / "out")
    assert type(error.value).__module__.startswith("controller.")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_link_and_a_folder_of_one_name(remote: GitRemote, repository: GitRepository, tmp_path: Path) -> None:
    """A tree that has a name twice, as a link out and as a folder: no file goes through the link."""
    (tmp_path / "outside").mkdir()
    target, blob = (
        run_git("hash-object", "-w", "--stdin", feed=body, cwd=remote.folder).decode().strip()
        for body in (str(tmp_path / "outside").encode(), b"evil")
    )
    inner = _tree(remote, ("100644", b"f", blob))
    made = _commit(remote, _tree(remote, ("120000", b"a", target), ("40000", b"a", inner)))
    with pytest.raises(Exception) as error:  # noqa: PT011  either refusal will do
        repository.export(made, [""], tmp_path / "out")
    assert type(error.value).__module__.startswith("controller.")
    assert list((tmp_path / "outside").iterdir()) == []


def test_attributes_hooks_and_filters_do_nothing(
    remote: GitRemote, repository: GitRepository, tmp_path: Path
) -> None:
    """export-ignore, export-subst, filters, line endings and committed hooks: the bytes come as they are."""
    files = {
        ".gitattributes": "* text eol=crlf ident filter=evil\nsecret export-ignore\nsubst export-subst\n",
        "secret": "kept\n",
        "subst": "$Format:%H$ $Id$\n",
        "hooks/post-checkout": Raw(b"#!/bin/sh\ntouch /tmp/evil\n", "100755"),
    }
    repository.export(Revision(remote.commit(files)), [""], tmp_path / "out")
    assert (tmp_path / "out" / "secret").read_bytes() == b"kept\n"
    assert (tmp_path / "out" / "subst").read_bytes() == b"$Format:%H$ $Id$\n"


def test_exports_are_bounded(
    remote: GitRemote, repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More files or bytes than allowed are refused before anything is written."""
    made = Revision(remote.commit({"a": "x" * 100, "b": "x" * 100}))
    monkeypatch.setattr(export, "MOST_BYTES", 150)
    with pytest.raises(InvalidReference, match="narrower"):
        repository.export(made, [""], tmp_path / "out")
    repository.export(made, ["a"], tmp_path / "one")
    monkeypatch.setattr(export, "MOST_FILES", 1)
    with pytest.raises(InvalidReference, match="narrower"):
        repository.export(made, [""], tmp_path / "out")


def test_the_folder_must_be_empty_and_no_link(remote: GitRemote, repository: GitRepository, tmp_path: Path) -> None:
    """An export never mixes with what is there, and does not go through a link."""
    made = Revision(remote.commit({"a": "1"}))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for folder in ("full", "link"):
        with pytest.raises(InvalidReference):
            repository.export(made, [""], tmp_path / folder)
    assert (tmp_path / "full" / "x").exists()


def test_many_files_in_batches(
    remote: GitRemote, repository: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large exports are read in pieces."""
    monkeypatch.setattr(export, "_BATCH", 1000)
    files = {f"d{n % 7}/f{n}": f"{n}" * 50 for n in range(200)}
    repository.export(Revision(remote.commit(files)), [""], tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")): path.read_text() for path in (tmp_path / "out").rglob("f*")}
    assert found == files
