"""What a server answers to a push, and what it is taken for."""

from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread

import pytest

from controller.adapters.repository import GitRepository
from controller.adapters.repository.process import Finished
from controller.adapters.repository.push import outcome, reported
from controller.core.application import Revision
from controller.core.git import BuiltCommit, CommitIdentity, PushOutcome, PushResult, RestoreRequest, RollbackPath
from controller.ports.repository import RepositoryDenied, RepositoryUnavailable
from tests.servers.git import GitRemote

REF = "refs/heads/main"
HOOK = "pre-receive hook declined"
RULES = "push declined due to repository rule violations"
GITHUB = "remote: error: GH006: Protected branch update failed"
REFUSALS = [
    (GITHUB, "protected branch hook declined", "Protected"),
    (
        f"{GITHUB}\nremote: error: Commits must have verified signatures.",
        "protected branch hook declined",
        "Signature",
    ),
    ("remote: error: GH013\nremote: - Changes must be made through a pull request.", RULES, "Protected"),
    ("remote: error: GH013\nremote: - Commits must have verified signatures.", RULES, "Signature"),
    ("remote: GitLab: You are not allowed to push code to protected branches on this project.", HOOK, "Protected"),
    ("remote: GitLab: Commit must be signed with a GPG key", HOOK, "Signature"),
    ("remote: GitLab: Commit message does not follow the pattern 'ABC-[0-9]+'", HOOK, "PushRule"),
    ("remote: Gitea: Not allowed to push to protected branch main", HOOK, "Protected"),
    ("remote: Gitea: Branch main is protected from unverified commits", HOOK, "Signature"),
    ("remote: TF402455: Pushes to this branch are not permitted", "TF402455", "Protected"),
    ("remote: no pushes on Fridays", HOOK, "PushRule"),
    ("", "branch is currently checked out", "PushRule"),
    ("", "stale info", "Stale"),
    ("", "fetch first", "Stale"),
    ("", "non-fast-forward", "Stale"),
    ("remote: error: cannot lock ref 'refs/heads/main': is at 1 but expected 2", "failed to update ref", "Stale"),
    ("", "remote failed to report status", "Unclear"),
]


def said(out: str, err: str = "", code: int = 1) -> PushOutcome:
    return outcome(Finished(code, out.encode(), err.encode()), REF, str)


def story(remote: GitRemote) -> tuple[Revision, Revision]:
    good = remote.commit({"app/a.yaml": "version: 1\n"})
    return Revision(good), Revision(remote.commit({"app/a.yaml": "version: 2\n"}))


def build(repository: GitRepository, good: Revision, bad: Revision, at: float = 1_800_000_000) -> BuiltCommit:
    facts = repository.inspect(RestoreRequest("main", ("app",), good, bad))
    assert facts.tree is not None
    return repository.build(
        parent=facts.head, tree=facts.tree, message="Roll back\n", identity=CommitIdentity(), at=at
    )


@pytest.mark.parametrize(("err", "reason", "result"), REFUSALS)
def test_refusals_are_told_apart(err: str, reason: str, result: str) -> None:
    """GitHub's, GitLab's, Gitea's and Git's own refusals each get their kind."""
    place = "[rejected]" if result == "Stale" else "[remote rejected]"
    found = said(f"To x\n!\tabc:{REF}\t{place} ({reason})\nDone\n", f"{err}\nerror: failed to push some refs to 'x'")
    assert found.result is PushResult(result)


@pytest.mark.parametrize("flag", [" ", "*", "=", "+"])
def test_pushed_is_what_the_server_reports(flag: str) -> None:
    """Each successful flag counts, for this ref only; without a line for it nothing is claimed."""
    assert said(f"To x\n{flag}\tabc:{REF}\tabc..def\nDone\n", code=0).result is PushResult.PUSHED
    assert said(f"To x\n{flag}\tabc:{REF}-other\tabc..def\nDone\n", code=0).result is PushResult.UNCLEAR
    assert said("Everything up-to-date\n", code=0).result is PushResult.UNCLEAR
    assert reported("garbage", REF) is None


@pytest.mark.parametrize(
    "err",
    [
        "error: RPC failed; HTTP 502 curl 22\nfatal: the remote end hung up unexpectedly",
        "send-pack: unexpected disconnect while reading sideband packet\nfatal: the remote end hung up unexpectedly",
        "fatal: the remote end hung up unexpectedly",
        "Connection to h closed by remote host.\nfatal: the remote end hung up unexpectedly",
        "remote: Permission denied\nfatal: the remote end hung up unexpectedly",
        "",
    ],
)
def test_what_may_have_arrived_is_unclear(err: str) -> None:
    """A connection that broke while pushing proves nothing."""
    assert said("", err, 128).result is PushResult.UNCLEAR


def test_what_cannot_have_been_sent_is_an_error() -> None:
    """No connection or no login: an error, so that it is tried again."""
    with pytest.raises(RepositoryUnavailable):
        said("", "fatal: unable to access 'https://h/': Could not resolve host: h", 128)
    with pytest.raises(RepositoryDenied):
        said("", "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", 128)
    with pytest.raises(RepositoryUnavailable):
        said(f"!\ta:{REF}\t[remote rejected] (unpacker error)\n", "error: remote unpack failed: disk full")


def test_a_real_hook_that_protects(remote: GitRemote, repository: GitRepository) -> None:
    """A server's hook refuses: the branch counts as protected, its words are passed on, and the way is a pull request."""
    good, bad = story(remote)
    commit = build(repository, good, bad)
    remote.hook(
        "pre-receive",
        "read a b ref; [ $ref != refs/heads/main ] && exit 0; echo 'main is a protected branch' >&2; exit 1\n",
    )
    found = repository.push(commit, "main", bad)
    assert found.result is PushResult.PROTECTED
    assert "main is a protected branch" in found.message
    assert remote.head() == bad
    assert repository.rollback_path("main") is RollbackPath.PULL_REQUEST
    assert repository.push(commit, "rollguard/restore", None).result is PushResult.PUSHED
    assert repository.rollback_path("rollguard/restore") is RollbackPath.PUSH


def test_a_refusal_is_forgotten_after_a_day(remote: GitRemote, tmp_path: Path) -> None:
    """Protection may be lifted: a day later pushing is tried again, and a push that works says so at once."""
    good, bad = story(remote)
    now = [0.0]
    repository = GitRepository(remote.url, mirror_root=tmp_path / "mirrors", clock=lambda: now[0])
    commit = build(repository, good, bad)
    remote.hook("pre-receive", "exit 1\n")
    assert repository.push(commit, "main", bad).result is PushResult.PUSH_RULE
    now[0] = 86_399.0
    assert repository.rollback_path("main") is RollbackPath.PULL_REQUEST
    now[0] = 86_401.0
    assert repository.rollback_path("main") is RollbackPath.PUSH
    assert repository.push(commit, "main", bad).result is PushResult.PUSH_RULE
    remote.hook("pre-receive", "exit 0\n")
    assert repository.push(commit, "main", bad).result is PushResult.PUSHED
    assert repository.rollback_path("main") is RollbackPath.PUSH


def test_a_commit_that_the_mirror_lost_is_pushed_from_its_bytes(
    remote: GitRemote, repository: GitRepository, tmp_path: Path
) -> None:
    """After a crash the kept bytes are enough: the same commit goes out (fault 1)."""
    good, bad = story(remote)
    commit = build(repository, good, bad)
    loose = next((tmp_path / "mirrors").glob(f"*.git/objects/{commit.revision[:2]}/{commit.revision[2:]}"))
    loose.unlink()
    assert repository.push(commit, "main", bad).result is PushResult.PUSHED
    assert remote.head() == commit.revision


def test_a_tree_that_the_mirror_lost_asks_for_a_new_build(remote: GitRemote, tmp_path: Path) -> None:
    """Another mirror has not the tree: Stale, and building again on the same head gives the very same commit."""
    good, bad = story(remote)
    remote.commit({"app/b.yaml": "later"})
    commit = build(GitRepository(remote.url, mirror_root=tmp_path / "lost"), good, bad)
    other = GitRepository(remote.url, mirror_root=tmp_path / "other")
    assert other.push(commit, "main", commit.parent).result is PushResult.STALE
    other.fetch("main")
    assert other.push(commit, "main", commit.parent).result is PushResult.STALE
    again = build(other, good, bad)
    assert again == commit
    assert other.push(again, "main", commit.parent).result is PushResult.PUSHED


def test_two_controllers_push_one_commit(remote: GitRemote, tmp_path: Path) -> None:
    """Two processes with mirrors of their own see the same head: the compare-and-swap lets one in (faults 4 and 5)."""
    good, bad = story(remote)
    repositories = [GitRepository(remote.url, mirror_root=tmp_path / str(n)) for n in range(2)]
    commits = [build(each, good, bad, at=1_800_000_000 + n) for n, each in enumerate(repositories)]
    results: list[PushResult] = []
    together = Barrier(2)

    def push(number: int) -> None:
        together.wait()
        results.append(repositories[number].push(commits[number], "main", bad).result)

    threads = [Thread(target=push, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [PushResult.PUSHED, PushResult.STALE]
    assert len(remote.log()) == 3


def test_somebody_pushes_while_we_do(remote: GitRemote, repository: GitRepository) -> None:
    """Another commit gets in between our look at the refs and the server's update: Stale, theirs stays (fault 13)."""
    good, bad = story(remote)
    commit = build(repository, good, bad)
    theirs = remote.commit({"other": "1"}, branch="theirs", parents=[bad])
    remote.hook("pre-receive", f"unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {theirs}\n")
    found = repository.push(commit, "main", bad)
    assert found.result is PushResult.STALE, found
    assert remote.head() == theirs


def test_the_parent_is_checked_against_the_bytes(remote: GitRemote, repository: GitRepository) -> None:
    """A noted parent or tree that the bytes do not have is refused."""
    good, bad = story(remote)
    commit = build(repository, good, bad)
    for forged in (replace(commit, parent=good), replace(commit, tree=good)):
        with pytest.raises(Exception, match="parent or tree"):
            repository.push(forged, "main", forged.parent)
