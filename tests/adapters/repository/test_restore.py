"""The plan of a restore on awkward trees and histories, on real Git."""

from pathlib import Path
from typing import Any

import pytest

from controller.adapters.repository import GitRepository, history
from controller.core.application import Revision
from controller.core.git import CommitIdentity, PushResult, RestoreFacts, RestoreRequest
from controller.core.policy import Scope
from tests.servers.git import GitRemote, Raw, run_git

APP = "apps/shop"
EVIL_MODULES = '[submodule "s"]\n\tpath = apps/shop/sub\n\turl = ext::sh -c evil\n'


class World:
    """A repository with a good and a bad commit."""

    def __init__(self, remote: GitRemote, repository: GitRepository) -> None:
        self.remote, self.repository = remote, repository

    def commit(self, files: dict[str, Any], message: str = "Change", **more: Any) -> Revision:
        return Revision(self.remote.commit(files, message, **more))

    def inspect(
        self, good: Revision, bad: Revision, *paths: str, scope: Scope = Scope.APPLICATION_PATHS
    ) -> RestoreFacts:
        return self.repository.inspect(RestoreRequest("main", paths or (APP,), good, bad, scope))

    def restore(self, facts: RestoreFacts) -> dict[str, bytes]:
        assert facts.tree is not None, facts.conflicts
        commit = self.repository.build(
            parent=facts.head, tree=facts.tree, message="Roll back\n", identity=CommitIdentity(), at=1_800_000_000
        )
        assert self.repository.push(commit, "main", facts.head).result is PushResult.PUSHED
        run_git("fsck", "--strict", cwd=self.remote.folder)
        return self.remote.files()

    def modes(self, revision: str = "main") -> dict[str, str]:
        listed = run_git("ls-tree", "-r", revision, cwd=self.remote.folder).decode().splitlines()
        return {line.split("\t")[1]: line.split()[0] for line in listed}


@pytest.fixture
def world(remote: GitRemote, repository: GitRepository) -> World:
    return World(remote, repository)


def test_a_later_change_in_another_part_of_the_same_file_is_merged(world: World) -> None:
    """Suspect and later commit changed far lines of one file: the suspect's part goes, the later one stays."""
    lines = [f"line {number}\n" for number in range(40)]
    good = world.commit({f"{APP}/a.txt": "".join(lines)})
    lines[2] = "bad\n"
    bad = world.commit({f"{APP}/a.txt": "".join(lines)})
    lines[35] = "later\n"
    world.commit({f"{APP}/a.txt": "".join(lines)})
    facts = world.inspect(good, bad)
    assert [commit.subject for commit in facts.newer] == ["Change"]
    text = world.restore(facts)[f"{APP}/a.txt"].decode()
    assert "bad" not in text
    assert "line 2\n" in text
    assert "later\n" in text


def test_renames_are_undone(world: World) -> None:
    """A suspect moved files, within the path, into it and out of it: each path is as it was."""
    good = world.commit({f"{APP}/a": "1\n" * 20, "other/in": "2\n" * 20, f"{APP}/out": "3\n" * 20})
    bad = world.commit(
        {f"{APP}/a": None, f"{APP}/b": "1\n" * 20, "other/in": None, f"{APP}/in": "2\n" * 20, f"{APP}/out": None,
         "other/out": "3\n" * 20}
    )  # fmt: skip
    files = world.restore(world.inspect(good, bad))
    assert files == {f"{APP}/a": b"1\n" * 20, f"{APP}/out": b"3\n" * 20, "other/out": b"3\n" * 20}


def test_a_file_that_others_moved_away_later_conflicts(world: World) -> None:
    """A restore never follows a file out of its path: moved away since, it is a conflict."""
    body = "".join(f"line {number}\n" for number in range(30))
    good = world.commit({f"{APP}/a": body})
    bad = world.commit({f"{APP}/a": body + "bad\n"})
    world.commit({f"{APP}/a": None, "elsewhere/a": body + "bad\n"})
    facts = world.inspect(good, bad)
    assert facts.tree is None
    assert facts.conflicts == (f"{APP}/a",)


def test_modes_links_and_submodules_are_kept_as_objects(world: World) -> None:
    """An executable, a link that leads out and a submodule are restored as they were, and never followed."""
    first, second = b"1" * 40, b"2" * 40
    good = world.commit(
        {
            f"{APP}/run": Raw(b"#!/bin/sh\n", "100755"),
            f"{APP}/link": Raw(b"/etc/passwd", "120000"),
            f"{APP}/sub": Raw(first, "160000"),
            ".gitmodules": EVIL_MODULES,
        }
    )
    bad = world.commit(
        {
            f"{APP}/run": Raw(b"#!/bin/sh\n", "100644"),
            f"{APP}/link": Raw(b"../../..", "120000"),
            f"{APP}/sub": Raw(second, "160000"),
        }
    )
    facts = world.inspect(good, bad)
    assert facts.restored_content == facts.target_content
    assert set(facts.unreadable) == {f"{APP}/link", f"{APP}/sub"}
    files = world.restore(facts) if facts.tree else {}
    assert files[f"{APP}/link"] == b"/etc/passwd"
    assert files[f"{APP}/sub"] == first
    assert world.modes()[f"{APP}/run"] == "100755"


def test_attributes_and_filters_in_the_tree_do_nothing(world: World) -> None:
    """A committed .gitattributes neither filters nor picks a merge driver."""
    good = world.commit(
        {".gitattributes": "* merge=union filter=evil text eol=crlf ident\n", f"{APP}/a": "a\n$Id$\n"}
    )
    bad = world.commit({f"{APP}/a": "b\n$Id$\n"})
    assert world.restore(world.inspect(good, bad))[f"{APP}/a"] == b"a\n$Id$\n"
    world.commit({f"{APP}/a": "c\n$Id$\n"})
    assert world.inspect(good, bad).conflicts == (f"{APP}/a",)


def test_a_folder_became_a_file(world: World) -> None:
    """The suspect put a file in a folder's place, at the path and above it."""
    good = world.commit({f"{APP}/sub/a": "1", "x": "x"})
    bad = world.commit({f"{APP}/sub": "file"})
    assert world.restore(world.inspect(good, bad)) == {f"{APP}/sub/a": b"1", "x": b"x"}
    worse = world.commit({"apps": "file"})
    facts = world.inspect(good, worse)
    assert facts.tree is None
    assert facts.conflicts == ("apps",)


def test_a_path_that_is_a_file_and_is_gone(world: World) -> None:
    """A single file as the path, which the suspect added: it goes, with the folders that become empty."""
    good = world.commit({"x": "x"})
    bad = world.commit({"deep/er/only.yaml": "a: 1\n"})
    facts = world.inspect(good, bad, "deep/er/only.yaml")
    assert facts.restored_content is not None
    assert facts.restored_content.empty
    assert world.restore(facts) == {"x": b"x"}


def test_the_whole_repository_becomes_empty(world: World) -> None:
    """With the whole tree as the path, a target without files gives the empty tree."""
    good = world.commit({})
    bad = world.commit({"a": "1"})
    assert world.restore(world.inspect(good, bad, "")) == {}


def test_a_sha256_repository(tmp_path: Path) -> None:
    """Object names of 64 digits work all the way."""
    remote = GitRemote(tmp_path / "remote.git", object_format="sha256")
    world = World(remote, GitRepository(remote.url, mirror_root=tmp_path / "mirrors"))
    good = world.commit({f"{APP}/a": "1\n"})
    bad = world.commit({f"{APP}/a": "2\n", f"{APP}/b": "2\n"})
    assert len(good) == 64
    world.commit({f"{APP}/c": "later\n"})
    facts = world.inspect(good, bad)
    assert not facts.live_content.empty
    assert world.restore(facts) == {f"{APP}/a": b"1\n", f"{APP}/c": b"later\n"}
    assert world.inspect(good, bad).already_restored


def test_names_that_are_no_text(world: World) -> None:
    """File names with newlines, tabs, quotes and bytes that are no UTF-8 survive, and are told in escapes."""
    odd = "apps/shop/\udcff\n\t\"'\\ä"
    good = world.commit({odd: "1"})
    bad = world.commit({odd: "2", "apps/shop/" + "1" * 40: "x"})
    later = world.commit({odd + "2": "x"})
    facts = world.inspect(good, bad)
    assert facts.newer == ()
    assert len(facts.suspects) == 1
    assert facts.changed_files[-1].startswith("apps/shop/\\xff\n")
    assert all(name.encode() for name in facts.changed_files)
    files = world.restore(facts)
    assert files == {odd: b"1", odd + "2": b"x"}
    assert later


def test_a_merge_of_the_branch_into_a_side_line_is_no_suspect(world: World) -> None:
    """A back-merge brings the branch nothing; the merge that comes back and its commits are what is suspected."""
    base = world.commit({f"{APP}/a": "1", "x": "1"})
    side = world.commit({"x": "side"}, "Side", branch="side", parents=[base])
    good = world.commit({f"{APP}/b": "1"}, "Main goes on")
    back = world.commit({f"{APP}/b": "1"}, "Back-merge", branch="side", parents=[side, good])
    last = world.commit({f"{APP}/a": "2"}, "Bad on the side", branch="side", parents=[back])
    merged = Revision(world.remote.merge(last, {f"{APP}/a": "2", "x": "side"}, "Merge side"))
    facts = world.inspect(good, merged)
    assert {commit.subject for commit in facts.suspects} == {"Bad on the side", "Merge side"}
    for scope in Scope:
        tree = world.inspect(good, merged, scope=scope)
        assert tree.restored_content == facts.target_content
    undone = world.inspect(good, merged, scope=Scope.COMMITS)
    assert set(undone.changed_files) == {f"{APP}/a", "x"}


def test_reverting_commits_needs_the_target_on_the_branchs_own_line(world: World) -> None:
    """Where the target came in by the second parent, reverting the merge would undo too much: no tree."""
    base = world.commit({f"{APP}/a": "1"})
    feature = world.commit({f"{APP}/b": "1"}, branch="feature", parents=[base])
    good = world.commit({f"{APP}/a": "2"})
    foxtrot = world.commit({f"{APP}/a": "2"}, branch="main", parents=[feature, good])
    facts = world.inspect(good, foxtrot, scope=Scope.COMMITS)
    assert facts.target_before_live
    assert facts.tree is None
    assert facts.plain_tree is not None
    assert world.inspect(good, foxtrot).restored_content == facts.target_content


def test_reverting_a_commit_whose_lines_another_changed_conflicts(world: World) -> None:
    """A commit between the suspects that is not reverted stands in the way: the file is named."""
    good = world.commit({f"{APP}/a": "1\n", "shared": "1\n"})
    world.commit({f"{APP}/a": "2\n", "shared": "2\n"}, "Suspect")
    bad = world.commit({"shared": "3\n"}, "Innocent")
    facts = world.inspect(good, bad, scope=Scope.COMMITS)
    assert facts.tree is None
    assert facts.conflicts == ("shared",)


def test_reverting_the_root_commit(world: World) -> None:
    """A suspect without parents: what it added goes."""
    orphan = world.commit({"readme": "x"}, branch="other", parents=[])
    good = orphan
    bad = world.commit({f"{APP}/a": "1"}, "Root", parents=[])
    facts = world.inspect(good, bad)
    assert not facts.target_before_live
    assert [commit.subject for commit in facts.suspects] == ["Root"]
    assert facts.restored_content is not None
    assert facts.restored_content.empty


def test_histories_without_anything_in_common(world: World) -> None:
    """Target and live share no commit: told as no ancestor, and still planned."""
    old = world.commit({f"{APP}/a": "1"})
    world.repository.fetch("main")
    new = world.commit({f"{APP}/a": "2"}, parents=[])
    facts = world.inspect(old, new)
    assert facts.target_known
    assert not facts.target_before_live
    assert not facts.went_back
    assert world.restore(facts)[f"{APP}/a"] == b"1"


def test_many_suspects_are_cut_but_not_the_marked_and_the_oldest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the bound the newest stay, and with them the oldest and each that carries a trailer of ours."""
    monkeypatch.setattr(history, "MOST_SUSPECTS", 4)
    good = world.commit({f"{APP}/a": "0"})
    made = [
        world.commit({f"{APP}/a": str(n)}, f"Number {n}", trailers=[("Rollguard-Hold", "no")] if n == 3 else [])
        for n in range(1, 10)
    ]
    facts = world.inspect(good, made[-1])
    assert [commit.subject for commit in facts.suspects] == ["Number 9", "Number 8", "Number 3", "Number 1"]
    assert facts.suspects[2].trailers == (("Rollguard-Hold", "no"),)
    assert facts.restored_content == facts.target_content


def test_a_commit_of_very_many_files_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of files is cut; what a later commit touches is compared with all of them."""
    monkeypatch.setattr(history, "MOST_FILES", 5)
    good = world.commit({"x": "1"})
    bad = world.commit({f"{APP}/{n:03}": "1" for n in range(50)})
    later = world.commit({f"{APP}/049": "2"})
    facts = world.inspect(good, bad)
    assert len(facts.suspects[0].files) == 5
    assert [commit.revision for commit in facts.newer] == [later]


def test_trailers_in_squashed_and_windows_messages(world: World) -> None:
    """A hold counts in the middle of a squash merge's message, with CRLF, folded, and in any case."""
    base = world.commit({f"{APP}/a": "0"})
    hold = ("Rollguard-Hold", "keep this")
    for number, message in enumerate(
        (
            "Squash (#12)\n\n* one\n\nRollguard-Hold: keep this\n\n* two\n\nCo-authored-by: X <x@y>",
            "Windows\r\n\r\nText\r\n\r\nrollguard-hold: keep this\r\n",
            "Folded\n\nROLLGUARD-HOLD: keep\n  this\nOther: x",
        )
    ):
        made = world.commit({f"{APP}/a": str(number + 1)}, message)
        assert hold in world.repository.commit(made).trailers, message
    prose = world.commit({f"{APP}/a": "9"}, "Rollguard-Hold: is explained here")
    assert world.repository.commit(prose).trailers == ()
    assert base


def test_facts_of_hostile_commits(world: World) -> None:
    """Odd authors, binary and very long messages are read without failing, and cut."""
    made = world.commit({"a": "1"}, "x" * 5000 + "\n\nKey: " + "y" * 5000, author="=?x?= \u202e <a@b c>")
    facts = world.repository.commit(made)
    assert len(facts.subject) <= 300
    assert all(len(value) <= 300 for _, value in facts.trailers)
    tree = run_git("rev-parse", "main^{tree}", cwd=world.remote.folder).decode().strip()
    raw = f"tree {tree}\nauthor \xff\ncommitter nobody\n\n\xfe\xff"
    odd = run_git(
        "hash-object",
        "-t",
        "commit",
        "-w",
        "--literally",
        "--stdin",
        feed=raw.encode("latin-1"),
        cwd=world.remote.folder,
    )
    world.remote.move("odd", odd.decode().strip())
    found = world.repository.commit(Revision(odd.decode().strip()))
    assert found.at == 0.0
    assert found.parents == ()


def test_a_chain_and_several_paths(world: World) -> None:
    """Each known revision of the chain tells its contents, for all paths, sorted."""
    good = world.commit({f"{APP}/a": "1", "base/b": "1"})
    first = world.commit({f"{APP}/a": "2"})
    second = world.commit({"base/b": "2"})
    unknown = Revision("9" * 40)
    facts = world.repository.inspect(
        RestoreRequest("main", ("base", APP), good, second, chain=(first, unknown, second))
    )
    assert [revision for revision, _ in facts.chain_contents] == [first, second]
    assert [path for path, _ in facts.chain_contents[0][1].objects] == [APP, "base"]
    assert len(facts.suspects) == 2
    assert facts.restored_content == facts.target_content
