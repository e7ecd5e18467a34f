"""One suite for every implementation of the port to Git repositories: real Git, and the fake in memory."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.repository import GitRepository
from controller.core.application import Revision
from controller.core.git import CommitIdentity, PushResult, Rendered, RestoreFacts, RestoreRequest, RollbackPath, Tag
from controller.core.policy import Scope
from controller.ports.repository import InvalidReference, Repository, RevisionUnknown
from tests.fakes.repository import InMemoryRemote, InMemoryRepository
from tests.servers.git import GitRemote

SHOP = "apps/shop"
UNKNOWN = Revision("1234567890" * 4)


def manifest(name: str, kind: str = "ConfigMap", version: int = 1) -> str:
    return f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\ndata:\n  version: '{version}'\n"


@dataclass
class Case:
    """A repository, and everybody else who commits to it."""

    repository: Repository
    remote: Any

    def commit(self, files: dict[str, Any], message: str = "Change things", **more: Any) -> Revision:
        return Revision(self.remote.commit(files, message, **more))

    def inspect(self, target: Revision, live: Revision, **more: Any) -> RestoreFacts:
        return self.repository.inspect(RestoreRequest("main", more.pop("paths", (SHOP,)), target, live, **more))

    def restore(self, facts: RestoreFacts, message: str = "Roll back\n", at: float = 1_800_000_000.0) -> Any:
        assert facts.tree is not None, facts
        return self.repository.build(
            parent=facts.head, tree=facts.tree, message=message, identity=CommitIdentity(), at=at
        )


@pytest.fixture(params=["git", "memory"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    if request.param == "git":
        remote = GitRemote(tmp_path / "remote.git")
        yield Case(GitRepository(remote.url, mirror_root=tmp_path / "mirrors"), remote)
    else:
        memory = InMemoryRemote()
        yield Case(InMemoryRepository(memory), memory)


@pytest.fixture
def story(case: Case) -> tuple[Case, Revision, Revision]:
    """A good commit, a bad one that also adds an object, and somebody else's after it."""
    good = case.commit({f"{SHOP}/a.yaml": manifest("a"), "apps/other/x.yaml": manifest("x")})
    bad = case.commit({f"{SHOP}/a.yaml": manifest("a", version=2), f"{SHOP}/b.yaml": manifest("b", "Secret")}, "Bad")
    return case, good, bad


def test_fetch_tells_the_head(case: Case) -> None:
    """``fetch`` follows the branch, forwards and after a force push."""
    first = case.commit({"a": "1"})
    assert case.repository.fetch("main") == first
    second = case.commit({"a": "2"})
    assert case.repository.fetch("main") == second
    case.remote.move("main", first)
    assert case.repository.fetch("main") == first


def test_a_branch_that_does_not_exist_is_unknown(case: Case) -> None:
    """A branch that is not there is ``RevisionUnknown``, before and after the first fetch."""
    case.commit({"a": "1"})
    for _ in range(2):
        with pytest.raises(RevisionUnknown):
            case.repository.fetch("nowhere")
        case.repository.fetch("main")


def test_content_is_equal_where_the_files_are(story: tuple[Case, Revision, Revision]) -> None:
    """Contents compare by files, not by commits; a path that is not there has no id."""
    case, good, bad = story
    back = case.commit({f"{SHOP}/a.yaml": manifest("a"), f"{SHOP}/b.yaml": None})
    content = case.repository.content
    assert content(good, [SHOP]) == content(back, [SHOP])
    assert content(good, [SHOP]) != content(bad, [SHOP])
    assert content(good, ["apps/other"]) == content(bad, ["apps/other"])
    assert content(good, [""]) == content(back, [""])
    assert content(good, [f"{SHOP}/a.yaml"]).objects[0][1]
    assert content(good, ["apps/none"]).empty
    both = content(good, [SHOP, "apps/none"])
    assert not both.empty
    assert [path for path, _ in both.objects] == ["apps/none", SHOP]


def test_inputs_follow_bases_and_local_charts(case: Case) -> None:
    """What a kustomization or a chart reads beside its folder is told, through several steps, and nothing remote."""
    overlay = (
        "resources: [../../base, https://example.com/remote?ref=v1, deployment.yaml]\n"
        "components: [../../components/debug]\npatches:\n- path: ../../patches/limits.yaml\n"
    )
    revision = case.commit(
        {
            "envs/prod/kustomization.yaml": overlay,
            "base/kustomization.yaml": "resources: [../common, ../../outside]\n",
            "common/kustomization.yaml": "resources: [../base]\n",
            "chart/Chart.yaml": "name: shop\ndependencies:\n- {name: lib, repository: 'file://../lib'}\n",
        }
    )
    inputs = case.repository.inputs
    assert inputs(revision, ["envs/prod"]) == (
        "base",
        "common",
        "components/debug",
        "envs/prod",
        "patches/limits.yaml",
    )
    assert inputs(revision, ["chart"]) == ("chart", "lib")
    assert inputs(revision, ["common", "nowhere"]) == ("base", "common", "nowhere")
    assert inputs(revision, [""]) == ("",)
    assert case.repository.inputs_of_each(revision, [["chart"], ["common"]]) == (("chart", "lib"), ("base", "common"))
    assert case.repository.inputs_of_each(revision, []) == ()


@pytest.mark.parametrize(
    "body", ["resources: [*x]", "a: &a [*a]", "resources: {a: b}", "\x00", "- ../x", "resources: ['']"]
)
def test_inputs_of_odd_kustomizations(case: Case, body: str) -> None:
    """A kustomization that cannot be read, or is none, names nothing beside its folder."""
    revision = case.commit({"app/kustomization.yaml": body})
    assert case.repository.inputs(revision, ["app"]) in (("app",), ("app", "x"))


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, None),
        ({"other/hydrator.metadata": "{}"}, None),
        (
            {"app/hydrator.metadata": '{"repoURL": "https://me:secret@git.example.com/Dry.git", "drySha": "abc"}'},
            Rendered("https://git.example.com/dry", "abc"),
        ),
        ({"app/hydrator.metadata": '{"drySHA": "abc"}'}, Rendered("", "abc")),
        ({"app/hydrator.metadata": "no JSON"}, Rendered()),
        ({"app/hydrator.metadata": "[" * 60_000}, Rendered()),
        ({"app/hydrator.metadata": '{"repoURL": 1, "drySha": "' + "x" * 70_000 + '"}'}, Rendered()),
        ({"app/hydrator.metadata/x": "1"}, None),
        ({".kargo-render/metadata.yaml": "sourceCommit: abc"}, Rendered()),
    ],
    ids=["none", "elsewhere", "noted", "commit only", "unreadable", "deep", "large", "folder", "kargo"],
)
def test_what_a_program_has_rendered(case: Case, files: dict[str, str], found: Rendered | None) -> None:
    """What a renderer leaves beside its manifests is read, whatever it holds; no password is told."""
    revision = case.commit({"app/deployment.yaml": "kind: Deployment\n", **files})
    assert case.repository.rendered_from(revision, ["app", "nowhere"]) == found


def test_the_default_branch(case: Case) -> None:
    """What HEAD of the repository names."""
    case.commit({"a": "1"})
    assert case.repository.default_branch() == "main"


def test_ancestry(case: Case) -> None:
    """A revision contains itself and what came before, on any line of its history."""
    base = case.commit({"a": "1"})
    side = case.commit({"b": "1"}, branch="side", parents=[base])
    main = case.commit({"c": "1"})
    merged = Revision(case.remote.merge(side, {"b": "1"}))
    is_ancestor = case.repository.is_ancestor
    assert is_ancestor(base, base)
    assert is_ancestor(side, merged)
    assert is_ancestor(base, merged)
    assert not is_ancestor(merged, main)
    assert not is_ancestor(side, main)


def test_commit_facts(case: Case) -> None:
    """A commit's author, date, subject, trailers and files are told as written."""
    first = case.commit({"a": "1", "b": "1"}, at=1_700_000_000)
    second = case.commit(
        {"a": "2", "b": None, "c/d": "1"},
        "Change\nthe shop\n\nBecause.",
        author="Bob Müller <bob@example.com>",
        trailers=[("Rollguard-Hold", "security fix"), ("Reviewed-by", "Ann")],
        at=1_700_000_100,
    )
    facts = case.repository.commit(second)
    assert facts.revision == second
    assert facts.parents == (first,)
    assert facts.author == facts.committer == "Bob Müller <bob@example.com>"
    assert facts.at == 1_700_000_100
    assert facts.subject == "Change the shop"
    assert facts.trailers == (("Rollguard-Hold", "security fix"), ("Reviewed-by", "Ann"))
    assert sorted(facts.files) == ["a", "b", "c/d"]
    assert sorted(case.repository.commit(first).files) == ["a", "b"]


@pytest.mark.parametrize("call", ["content", "commit", "is_ancestor", "export", "rendered_from"])
def test_unknown_revisions(case: Case, call: str, tmp_path: Path) -> None:
    """A revision that is not in the repository is ``RevisionUnknown`` wherever it is asked for."""
    known = case.commit({"a": "1"})
    repository = case.repository
    repository.fetch("main")
    calls: dict[str, Callable[[], object]] = {
        "content": lambda: repository.content(UNKNOWN, ["a"]),
        "commit": lambda: repository.commit(UNKNOWN),
        "rendered_from": lambda: repository.rendered_from(UNKNOWN, ["a"]),
        "is_ancestor": lambda: repository.is_ancestor(UNKNOWN, known),
        "export": lambda: repository.export(UNKNOWN, ["a"], tmp_path / "export"),
    }
    with pytest.raises(RevisionUnknown):
        calls[call]()


@pytest.mark.parametrize("bad", ["", "-x", "a..b", "main:evil", "HEAD", "abc", "0" * 40, "A" * 40, "1" * 39 + "\n"])
def test_what_is_no_revision_is_refused(case: Case, bad: str) -> None:
    """Anything but a full object name is refused, in every place where a revision goes in (fault 14)."""
    good = case.commit({"a": "1"})
    revision = Revision(bad)
    facts = case.inspect(good, good, paths=("a",))
    commit = case.restore(facts)
    for call in (
        lambda: case.repository.content(revision, ["a"]),
        lambda: case.repository.commit(revision),
        lambda: case.repository.is_ancestor(revision, good),
        lambda: case.inspect(revision, good),
        lambda: case.inspect(good, revision),
        lambda: case.inspect(good, good, ours=(revision,)),
        lambda: case.repository.push(replace(commit, revision=revision), "main", facts.head),
        lambda: case.repository.push(commit, "main", revision),
    ):
        with pytest.raises(InvalidReference):
            call()
    assert case.remote.head() == good


@pytest.mark.parametrize(
    "bad", ["", "-x", "a..b", "main:evil", "a b", "a\x00b", "x.lock", "/a", "a/", "refs/heads/a", "@{u}"]
)
def test_what_is_no_branch_is_refused(case: Case, bad: str) -> None:
    """Names that Git would read otherwise are refused (fault 14)."""
    good = case.commit({"a": "1"})
    commit = case.restore(case.inspect(good, good, paths=("a",)))
    for call in (
        lambda: case.repository.fetch(bad),
        lambda: case.repository.rollback_path(bad),
        lambda: case.repository.push(commit, bad, None),
    ):
        with pytest.raises(InvalidReference):
            call()


@pytest.mark.parametrize("bad", ["../a", "a/../b", "/a", "a/", ":(top)a", "a\x00", ".git/config", "a//b", "./a"])
def test_what_is_no_path_is_refused(case: Case, bad: str) -> None:
    """Paths that lead out, carry magic or are not in normal form are refused; so is naming none."""
    good = case.commit({"a": "1"})
    for paths in ((bad,), ("a", bad), ()):
        with pytest.raises(InvalidReference):
            case.repository.content(good, paths)
        with pytest.raises(InvalidReference):
            case.inspect(good, good, paths=paths)


def test_inspect_tells_the_whole_story(story: tuple[Case, Revision, Revision]) -> None:
    """Suspects, objects, files and contents of a plain restore."""
    case, good, bad = story
    facts = case.inspect(good, bad, chain=(bad,), ours=(UNKNOWN,))
    assert facts.head == bad
    assert facts.target_known
    assert facts.live_known
    assert facts.target_before_live
    assert facts.live_in_branch
    assert not facts.went_back
    assert [commit.subject for commit in facts.suspects] == ["Bad"]
    assert facts.suspects[0].files == (f"{SHOP}/a.yaml", f"{SHOP}/b.yaml")
    assert facts.newer == ()
    assert facts.head_content == facts.live_content == dict(facts.chain_contents)[bad]
    assert facts.restored_content == facts.target_content
    assert facts.conflicts == ()
    assert [(each.kind, each.name) for each in facts.removes] == [("Secret", "b")]
    assert {(each.kind, each.name) for each in facts.touches} == {("ConfigMap", "a"), ("Secret", "b")}
    assert facts.changed_files == (f"{SHOP}/a.yaml", f"{SHOP}/b.yaml")
    assert facts.unreadable == facts.ours_in_branch == facts.protected_restores == ()
    assert not facts.already_restored


def test_a_restore_brings_back_the_target_and_is_recognised(story: tuple[Case, Revision, Revision]) -> None:
    """Pushed, the paths hold exactly the target's files; asked again, it is done, by content and by id."""
    case, good, bad = story
    commit = case.restore(facts := case.inspect(good, bad))
    assert case.repository.push(commit, "main", facts.head).result is PushResult.PUSHED
    assert case.remote.head() == commit.revision
    assert case.remote.files() == case.remote.files(good)
    again = case.inspect(good, bad, ours=(UNKNOWN, commit.revision))
    assert again.already_restored
    assert again.ours_in_branch == (commit.revision,)
    assert case.repository.is_ancestor(bad, commit.revision)


def test_a_later_change_by_others_in_the_same_folder_survives(story: tuple[Case, Revision, Revision]) -> None:
    """What somebody else added beside the bad files stays, what the suspects added goes."""
    case, good, bad = story
    case.commit({f"{SHOP}/c.yaml": manifest("c"), "apps/other/x.yaml": manifest("x", version=9)}, "Theirs")
    facts = case.inspect(good, bad)
    assert facts.newer == ()
    case.repository.push(case.restore(facts), "main", facts.head)
    files = case.remote.files()
    assert files[f"{SHOP}/c.yaml"] == manifest("c").encode()
    assert files[f"{SHOP}/a.yaml"] == manifest("a").encode()
    assert files["apps/other/x.yaml"] == manifest("x", version=9).encode()
    assert f"{SHOP}/b.yaml" not in files


def test_a_later_change_of_the_same_lines_conflicts(story: tuple[Case, Revision, Revision]) -> None:
    """Both changed the same file's same lines: no tree, the file is named, and a plain tree is offered (fault 12)."""
    case, good, bad = story
    fix = case.commit({f"{SHOP}/a.yaml": manifest("a", version=3)}, "Fix forward")
    facts = case.inspect(good, bad)
    assert [commit.revision for commit in facts.newer] == [fix]
    assert facts.tree is None
    assert facts.restored_content is None
    assert facts.conflicts == (f"{SHOP}/a.yaml",)
    assert facts.plain_tree is not None
    offered = case.repository.build(
        parent=bad, tree=facts.plain_tree, message="Offer\n", identity=CommitIdentity(), at=1_800_000_000
    )
    assert case.repository.push(offered, "rollguard/restore-shop", None).result is PushResult.PUSHED
    restored = case.repository.content(offered.revision, [SHOP])
    assert restored == facts.target_content


def test_a_persons_own_revert_is_recognised(story: tuple[Case, Revision, Revision]) -> None:
    """Somebody reverted by hand, without any trailer: already restored."""
    case, good, bad = story
    case.commit({f"{SHOP}/a.yaml": manifest("a"), f"{SHOP}/b.yaml": None}, "Revert")
    assert case.inspect(good, bad).already_restored


def test_policies_stay_as_the_head_has_them(case: Case) -> None:
    """A restore neither deletes nor changes a file that holds Rollguard's own objects, even where it would conflict."""
    policy = "apiVersion: rollguard.dev/v1alpha1\nkind: SLOPolicy\nmetadata: {{name: p}}\nspec: {{version: {}}}\n"
    good = case.commit({f"{SHOP}/a.yaml": manifest("a"), f"{SHOP}/old.yaml": policy.format(1)})
    bad = case.commit(
        {
            f"{SHOP}/a.yaml": manifest("a", version=2),
            f"{SHOP}/new.yaml": policy.format(1),
            f"{SHOP}/old.yaml": policy.format(2),
        }
    )
    case.commit({f"{SHOP}/new.yaml": policy.format(2), f"{SHOP}/old.yaml": policy.format(3)})
    facts = case.inspect(good, bad)
    assert facts.changed_files == (f"{SHOP}/a.yaml",)
    case.repository.push(case.restore(facts), "main", facts.head)
    files = case.remote.files()
    assert files[f"{SHOP}/new.yaml"] == policy.format(2).encode()
    assert files[f"{SHOP}/old.yaml"] == policy.format(3).encode()
    assert files[f"{SHOP}/a.yaml"] == manifest("a").encode()


def test_whole_commits_are_reverted_newest_first(case: Case) -> None:
    """Scope Commits: what the suspects changed elsewhere goes too, other commits between them stay."""
    good = case.commit({f"{SHOP}/a.yaml": manifest("a"), "db/x.yaml": manifest("x"), "other": "1"})
    case.commit({f"{SHOP}/a.yaml": manifest("a", version=2), "db/x.yaml": manifest("x", version=2)}, "First")
    case.commit({"other": "2"}, "Innocent")
    bad = case.commit({f"{SHOP}/a.yaml": manifest("a", version=3)}, "Second")
    facts = case.inspect(good, bad, scope=Scope.COMMITS)
    assert [commit.subject for commit in facts.suspects] == ["Second", "First"]
    case.repository.push(case.restore(facts), "main", facts.head)
    files = case.remote.files()
    assert files[f"{SHOP}/a.yaml"] == manifest("a").encode()
    assert files["db/x.yaml"] == manifest("x").encode()
    assert files["other"] == b"2"
    assert case.inspect(good, bad, scope=Scope.COMMITS).already_restored


def test_what_was_promoted_together_is_undone_together(case: Case) -> None:
    """Of the companion only what the suspects did goes: its own changes, before and after, stay."""
    cart, own, other = "apps/cart/values.yaml", "apps/cart/own.yaml", "apps/other/values.yaml"
    good = case.commit({f"{SHOP}/a.yaml": "tag: one\n", cart: "tag: one\n", own: "1\n", other: "tag: one\n"})
    case.commit({own: "2\n"}, "The cart's own")
    bad = case.commit({f"{SHOP}/a.yaml": "tag: two\n", cart: "tag: two\n", other: "tag: two\n"}, "Promote")
    case.commit({own: "3\n"}, "The cart's own, later")
    facts = case.inspect(good, bad, together=("apps/cart",))
    assert [commit.subject for commit in facts.suspects] == ["Promote"]
    assert facts.changed_files == (cart, f"{SHOP}/a.yaml")
    case.repository.push(case.restore(facts), "main", facts.head)
    assert case.remote.files() == {
        f"{SHOP}/a.yaml": b"tag: one\n",
        cart: b"tag: one\n",
        own: b"3\n",
        other: b"tag: two\n",
    }
    assert case.inspect(good, bad, together=("apps/cart",)).already_restored


def test_a_companion_that_went_on_by_itself_holds_up_nothing(case: Case) -> None:
    """What somebody else wrote into the same lines since stays; the application itself is restored all the same."""
    cart = "apps/cart/values.yaml"
    good = case.commit({f"{SHOP}/a.yaml": "tag: one\n", cart: "tag: one\n"})
    bad = case.commit({f"{SHOP}/a.yaml": "tag: two\n", cart: "tag: two\n"}, "Promote")
    case.commit({cart: "tag: three\n"}, "The cart's own")
    facts = case.inspect(good, bad, together=("apps/cart",))
    assert facts.changed_files == (f"{SHOP}/a.yaml",)
    assert not facts.conflicts


def test_merges_on_the_branchs_line_are_suspects(case: Case) -> None:
    """A merged side branch: its commits and the merge are suspects, and reverting whole commits undoes it once."""
    good = case.commit({f"{SHOP}/a.yaml": manifest("a"), "other": "1"})
    side = case.commit({f"{SHOP}/a.yaml": manifest("a", version=2)}, "On the side", branch="side", parents=[good])
    case.commit({"other": "2"}, "Meanwhile")
    merged = Revision(case.remote.merge(side, {f"{SHOP}/a.yaml": manifest("a", version=2)}, "Merge side"))
    facts = case.inspect(good, merged)
    assert {commit.subject for commit in facts.suspects} == {"On the side", "Merge side"}
    for scope in Scope:
        found = case.inspect(good, merged, scope=scope)
        assert found.restored_content == facts.target_content, scope
        assert found.changed_files == (f"{SHOP}/a.yaml",)


def test_a_person_went_back(story: tuple[Case, Revision, Revision]) -> None:
    """What is live lies before the target: said."""
    case, good, bad = story
    facts = case.inspect(target=bad, live=good)
    assert facts.went_back
    assert not facts.target_before_live
    assert facts.suspects == ()
    assert not case.inspect(good, good).went_back


def test_a_suspect_that_was_forced_away(story: tuple[Case, Revision, Revision]) -> None:
    """A force push took the suspect out of the branch: it is known, and not in the branch (fault 11)."""
    case, good, bad = story
    case.repository.fetch("main")
    case.remote.move("main", good)
    case.commit({"apps/other/x.yaml": manifest("x", version=5)}, "After the force push")
    facts = case.inspect(good, bad)
    assert facts.live_known
    assert not facts.live_in_branch
    assert facts.head_content == facts.target_content
    assert facts.head_content != facts.live_content


def test_revisions_nobody_has(story: tuple[Case, Revision, Revision]) -> None:
    """A target or live revision that cannot be had is told, and there is no plan."""
    case, good, bad = story
    no_target = case.inspect(UNKNOWN, bad)
    assert (no_target.target_known, no_target.live_known, no_target.tree) == (False, True, None)
    assert no_target.live_in_branch
    no_live = case.inspect(good, UNKNOWN)
    assert (no_live.target_known, no_live.live_known, no_live.tree) == (True, False, None)
    assert no_live.target_content.objects[0][1]


def test_restores_among_the_suspects_are_named(case: Case) -> None:
    """A commit that says it is itself a restore is told, whoever wrote that (fault 26)."""
    good = case.commit({f"{SHOP}/a.yaml": manifest("a")})
    bad = case.commit(
        {f"{SHOP}/a.yaml": manifest("a", version=2)}, "Roll back", trailers=[("rollguard-rollback-of", "f" * 40)]
    )
    assert [commit.revision for commit in case.inspect(good, bad).protected_restores] == [bad]


def test_a_first_deployment_leaves_the_path_empty(case: Case) -> None:
    """The target has no such path: the restore empties it, and says so."""
    good = case.commit({"readme": "x"})
    bad = case.commit({f"{SHOP}/a.yaml": manifest("a", "PersistentVolumeClaim")})
    facts = case.inspect(good, bad)
    assert facts.restored_content is not None
    assert facts.restored_content.empty
    assert [each.kind for each in facts.removes] == ["PersistentVolumeClaim"]
    case.repository.push(case.restore(facts), "main", facts.head)
    assert case.remote.files() == {"readme": b"x"}


def test_a_path_that_the_head_has_no_more(story: tuple[Case, Revision, Revision]) -> None:
    """Somebody deleted the whole path since: a conflict over what the suspects changed, no silent resurrection."""
    case, good, bad = story
    case.commit({f"{SHOP}/a.yaml": None, f"{SHOP}/b.yaml": None})
    facts = case.inspect(good, bad)
    assert facts.head_content.empty
    assert facts.tree is None
    assert facts.conflicts == (f"{SHOP}/a.yaml",)


def test_paths_may_be_files_or_the_whole_repository(story: tuple[Case, Revision, Revision]) -> None:
    """A single file, overlapping paths, and the whole tree."""
    case, good, bad = story
    one = case.inspect(good, bad, paths=(f"{SHOP}/a.yaml",))
    assert one.changed_files == (f"{SHOP}/a.yaml",)
    both = case.inspect(good, bad, paths=(SHOP, "apps", f"{SHOP}/a.yaml"))
    assert both.changed_files == (f"{SHOP}/a.yaml", f"{SHOP}/b.yaml")
    whole = case.inspect(good, bad, paths=("",))
    assert whole.restored_content == whole.target_content
    case.repository.push(case.restore(whole), "main", whole.head)
    assert case.remote.files() == case.remote.files(good)


def test_what_cannot_be_read_is_named(case: Case) -> None:
    """A template is told as unreadable, and the kinds in it are still seen."""
    template = "kind: Secret\nmetadata:\n  name: s\n  {{- if .x }}\ndata: {{ .data }}\n"
    good = case.commit({f"{SHOP}/t.yaml": template, f"{SHOP}/notes.txt": "1"})
    bad = case.commit({f"{SHOP}/t.yaml": template + "# more\n", f"{SHOP}/notes.txt": "2"})
    facts = case.inspect(good, bad)
    assert facts.unreadable == (f"{SHOP}/t.yaml",)
    assert [(each.kind, each.name) for each in facts.touches] == [("Secret", "s")]
    assert set(facts.changed_files) == {f"{SHOP}/notes.txt", f"{SHOP}/t.yaml"}


def test_the_same_arguments_build_the_same_commit(story: tuple[Case, Revision, Revision]) -> None:
    """Building again gives the same id and the same bytes; another date or message another."""
    case, good, bad = story
    facts = case.inspect(good, bad)
    first, second = case.restore(facts), case.restore(facts)
    assert first == second
    assert first.parent == facts.head
    assert first.tree == facts.tree
    assert base64.b64decode(first.data)
    assert case.restore(facts, at=1_800_000_001.0).revision != first.revision
    assert case.restore(facts, message="Other\n").revision != first.revision


def test_a_push_that_lost_the_race_is_stale(story: tuple[Case, Revision, Revision]) -> None:
    """The branch has moved: nothing is pushed; rebuilt on the new head it goes in (fault 13)."""
    case, good, bad = story
    facts = case.inspect(good, bad)
    late = case.restore(facts)
    theirs = case.commit({"apps/other/x.yaml": manifest("x", version=7)})
    assert case.repository.push(late, "main", facts.head).result is PushResult.STALE
    assert case.remote.head() == theirs
    facts = case.inspect(good, bad, ours=(late.revision,))
    assert facts.ours_in_branch == ()
    assert case.repository.push(case.restore(facts), "main", facts.head).result is PushResult.PUSHED
    assert len(case.remote.log()) == 4


def test_pushing_twice_changes_nothing_more(story: tuple[Case, Revision, Revision]) -> None:
    """The second push of the same commit finds it there."""
    case, good, bad = story
    commit = case.restore(facts := case.inspect(good, bad))
    assert case.repository.push(commit, "main", facts.head).result is PushResult.PUSHED
    assert case.repository.push(commit, "main", facts.head).result is PushResult.PUSHED
    assert len(case.remote.log()) == 3


def test_a_new_branch(story: tuple[Case, Revision, Revision]) -> None:
    """With no expectation the branch must not exist: made once, never moved by it."""
    case, good, bad = story
    facts = case.inspect(good, bad)
    commit, other = case.restore(facts), case.restore(facts, message="Other\n")
    assert case.repository.push(commit, "rollguard/restore-1", None).result is PushResult.PUSHED
    assert case.remote.head("rollguard/restore-1") == commit.revision
    assert case.repository.push(other, "rollguard/restore-1", None).result is PushResult.STALE
    assert case.repository.push(other, "main", None).result is PushResult.STALE
    assert case.remote.head() == bad


def test_a_push_that_would_drop_commits_is_refused(story: tuple[Case, Revision, Revision]) -> None:
    """A commit that is not built on what is expected does not leave the house."""
    case, good, bad = story
    commit = case.restore(case.inspect(good, bad))
    case.commit({"x": "1"})
    with pytest.raises(InvalidReference):
        case.repository.push(commit, "main", Revision(case.remote.head()))


def test_a_commit_whose_bytes_do_not_fit_is_refused(story: tuple[Case, Revision, Revision]) -> None:
    """Bytes that were changed in the store are found out."""
    case, good, bad = story
    commit = case.restore(facts := case.inspect(good, bad))
    forged = base64.b64encode(base64.b64decode(commit.data) + b"!").decode()
    with pytest.raises(InvalidReference):
        case.repository.push(replace(commit, data=forged), "main", facts.head)
    assert case.remote.head() == bad


def test_export_writes_the_paths(story: tuple[Case, Revision, Revision], tmp_path: Path) -> None:
    """Files lie where they lie in the repository; a path that is not there is left out; a full folder is refused."""
    case, good, _ = story
    case.repository.export(good, [SHOP, "apps/none"], tmp_path / "export")
    found = {
        str(path.relative_to(tmp_path / "export")): path.read_bytes() for path in (tmp_path / "export").rglob("*.*")
    }
    assert found == {f"{SHOP}/a.yaml": manifest("a").encode()}
    with pytest.raises(InvalidReference):
        case.repository.export(good, [SHOP], tmp_path / "export")


def test_the_way_is_open(story: tuple[Case, Revision, Revision]) -> None:
    """A branch that can be pushed to is Push, one that does not exist is unknown."""
    case, _, _ = story
    assert case.repository.rollback_path("main") is RollbackPath.PUSH
    with pytest.raises(RevisionUnknown):
        case.repository.rollback_path("nowhere")


DEV = "envs/dev/values.yaml"


def test_files_are_read_and_exchanged(case: Case) -> None:
    """What is read, changed, built and pushed is there; all else is as it was, and nothing is checked out."""
    first = case.commit({DEV: "tag: v1\n", "envs/prod/values.yaml": "tag: v0\n", "run.sh": "#!/bin/sh\n"})
    assert case.repository.files(first, [DEV, "envs/none.yaml", "nowhere/x"]) == {
        DEV: b"tag: v1\n",
        "envs/none.yaml": None,
        "nowhere/x": None,
    }
    written = case.repository.write(first, {DEV: b"tag: v2\n"})
    assert written.changed == (DEV,)
    commit = case.repository.build(
        parent=first, tree=written.tree, message="Promote\n", identity=CommitIdentity(), at=1_800_000_000.0
    )
    assert case.repository.push(commit, "main", first).result is PushResult.PUSHED
    assert case.remote.files() == case.remote.files(first) | {DEV: b"tag: v2\n"}


def test_writing_what_is_there_changes_nothing(case: Case) -> None:
    """The same bytes, or no file at all, give the revision's own tree; the same write gives the same tree."""
    first = case.commit({DEV: "tag: v1\n", "other/x": "1"})
    same = case.repository.write(first, {DEV: b"tag: v1\n"})
    assert same == case.repository.write(first, {})
    assert same.changed == ()
    one, two = (case.repository.write(first, {DEV: b"2", "other/x": b"1"}) for _ in range(2))
    assert one == two
    assert one.changed == (DEV,)
    assert one.tree != same.tree


def test_a_new_file_only_where_it_is_wanted(case: Case) -> None:
    """A path that does not exist is refused, unless it is to be made; then its folders are made too."""
    first = case.commit({DEV: "tag: v1\n"})
    with pytest.raises(InvalidReference):
        case.repository.write(first, {"envs/dve/values.yaml": b"x"})
    written = case.repository.write(first, {"new/deep/a.yaml": b"x"}, create=True)
    assert written.changed == ("new/deep/a.yaml",)
    commit = case.repository.build(
        parent=first, tree=written.tree, message="New\n", identity=CommitIdentity(), at=1e9
    )
    case.repository.push(commit, "main", first)
    assert case.remote.files() == case.remote.files(first) | {"new/deep/a.yaml": b"x"}


@pytest.mark.parametrize(
    "path", ["", "envs", "envs/dev", f"{DEV}/x", "../x", "/x", ".git/config", "a/.GIT/x", "a//b", "a\nb", ":x"]
)
def test_what_is_no_file_is_not_written(case: Case, path: str) -> None:
    """Folders, ways out, and paths behind a file are refused, to be made or not."""
    first = case.commit({DEV: "tag: v1\n"})
    for create in (False, True):
        with pytest.raises(InvalidReference):
            case.repository.write(first, {path: b"x"}, create=create)
    if path != f"{DEV}/x":
        with pytest.raises(InvalidReference):
            case.repository.files(first, [path])


def test_reading_and_writing_are_bounded(case: Case) -> None:
    """A file that is too large, too many files, a file inside another, and what is no revision are refused."""
    first = case.commit({"large": "x" * ((1 << 20) + 1), "small": "x"})
    with pytest.raises(InvalidReference):
        case.repository.files(first, ["large"])
    with pytest.raises(InvalidReference):
        case.repository.files(first, [f"f{number}" for number in range(201)])
    for files in ({"small": b"x" * ((1 << 20) + 1)}, {f"f{n}": b"" for n in range(201)}, {"n": b"", "n/m": b""}):
        with pytest.raises(InvalidReference):
            case.repository.write(first, files, create=True)
    with pytest.raises(RevisionUnknown):
        case.repository.files(UNKNOWN, ["small"])
    with pytest.raises(RevisionUnknown):
        case.repository.write(UNKNOWN, {"small": b"x"})
    with pytest.raises(InvalidReference):
        case.repository.write(Revision("main"), {"small": b"x"})


def test_tags_of_the_server(case: Case) -> None:
    """Matching names, sorted; an annotated one is told by its commit; a moved one is told anew."""
    first, second = case.commit({"a": "1"}), case.commit({"a": "2"})
    assert case.repository.tags() == ()
    case.remote.tag("v1.0.0", first)
    case.remote.tag("v1.1.0", second, annotated=True)
    case.remote.tag("nightly/1", second)
    assert case.repository.tags("v*") == (Tag("v1.0.0", first), Tag("v1.1.0", second))
    assert [tag.name for tag in case.repository.tags()] == ["nightly/1", "v1.0.0", "v1.1.0"]
    case.remote.tag("v1.0.0", second)
    assert case.repository.tags("v1.0.?") == (Tag("v1.0.0", second),)
    for pattern in ("", "a\nb", "x" * 300):
        with pytest.raises(InvalidReference):
            case.repository.tags(pattern)


def test_commits_of_a_branch(case: Case) -> None:
    """The branch's own line since a revision, as far as it touches the paths, oldest first; a merge is one."""
    first = case.commit({"app/a": "1", "doc": "1"}, "First")
    case.commit({"doc": "2"}, "Docs")
    side = case.commit({"app/b": "1"}, "Side", branch="side", parents=[first], author="Sid <sid@example.com>")
    merged = Revision(case.remote.merge(side, {"app/b": "1"}, "Merge"))
    last = case.commit({"app/a": "2"}, "Last")
    found = case.repository.branch_commits("main", first, ["app"])
    assert [(each.revision, each.subject) for each in found] == [(merged, "Merge"), (last, "Last")]
    assert [each.revision for each in case.repository.branch_commits("main", None, ["app"])] == [first, merged, last]
    assert case.repository.branch_commits("main", last, ["app"]) == ()
    assert len(case.repository.branch_commits("main", first, [""])) == 3
    between = case.repository.commits_between(first, last, ["app"])
    assert {each.revision for each in between} == {side, merged, last}
    assert "Sid <sid@example.com>" in {each.author for each in between}
    assert case.repository.commits_between(last, first, [""]) == ()
    for call in (
        lambda: case.repository.branch_commits("main", UNKNOWN, [""]),
        lambda: case.repository.commits_between(UNKNOWN, last, [""]),
        lambda: case.repository.branch_commits("nowhere", None, [""]),
    ):
        with pytest.raises(RevisionUnknown):
            call()
    with pytest.raises(InvalidReference):
        case.repository.branch_commits("--all", None, [""])


def test_a_diff_for_people(case: Case) -> None:
    """What a written tree changes, as a unified diff; a long one is cut and says so."""
    first = case.commit({DEV: "image:\n  tag: v1\n", "long": "x\n"})
    written = case.repository.write(first, {DEV: b"image:\n  tag: v2\n"})
    told = case.repository.diff(first, written.tree)
    assert f"--- a/{DEV}\n+++ b/{DEV}\n" in told
    assert "\n image:\n-  tag: v1\n+  tag: v2\n" in told
    assert case.repository.diff(first, case.repository.write(first, {}).tree) == ""
    longer = case.repository.write(first, {"long": b"line\n" * 50_000})
    told = case.repository.diff(first, longer.tree)
    assert len(told) < 60_200
    assert told.endswith("… cut: the whole difference has more than 60000 characters\n")
    with pytest.raises(RevisionUnknown):
        case.repository.diff(first, UNKNOWN)


def test_whether_a_commit_can_still_be_merged(case: Case) -> None:
    """Changes elsewhere, and the same change by others, conflict with nothing; another change of the same line does."""
    base = case.commit({DEV: "tag: v1\n", "other": "1\n"})
    written = case.repository.write(base, {DEV: b"tag: v2\n"})
    made = case.repository.build(
        parent=base, tree=written.tree, message="Promote\n", identity=CommitIdentity(), at=1_800_000_000.0
    )
    assert case.repository.push(made, "proposal", None).result is PushResult.PUSHED
    elsewhere = case.commit({"other": "2\n"})
    case.repository.fetch("main")
    assert case.repository.conflicts(made.revision, elsewhere) == ()
    same = case.commit({DEV: "tag: v2\n"})
    case.repository.fetch("main")
    assert case.repository.conflicts(made.revision, same) == ()
    against = case.commit({DEV: "tag: v3\n"})
    case.repository.fetch("main")
    assert case.repository.conflicts(made.revision, against) == (DEV,)
    with pytest.raises(RevisionUnknown):
        case.repository.conflicts(made.revision, UNKNOWN)
    with pytest.raises(InvalidReference):
        case.repository.conflicts(made.revision, Revision("main"))


def test_only_a_branch_of_our_own_is_replaced(case: Case) -> None:
    """A newer proposal takes an older one's place, with a lease on it; of other branches nothing is ever dropped."""
    base = case.commit({DEV: "tag: v1\n"})

    def proposed(tag: str) -> Any:
        written = case.repository.write(base, {DEV: f"tag: {tag}\n".encode()})
        return case.repository.build(
            parent=base, tree=written.tree, message=f"{tag}\n", identity=CommitIdentity(), at=1_800_000_000.0
        )

    first, second = proposed("v2"), proposed("v3")
    ours = "rollguard/promote-shop"
    assert case.repository.push(first, ours, None, replaces=True).result is PushResult.PUSHED
    assert case.repository.push(second, ours, base, replaces=True).result is PushResult.STALE
    assert case.repository.push(second, ours, first.revision, replaces=True).result is PushResult.PUSHED
    assert case.repository.fetch(ours) == second.revision
    with pytest.raises(InvalidReference):
        case.repository.push(first, ours, second.revision)
    case.commit({"other": "1\n"})
    head = case.repository.fetch("main")
    with pytest.raises(InvalidReference):
        case.repository.push(first, "main", head, replaces=True)
    assert case.repository.fetch("main") == head
