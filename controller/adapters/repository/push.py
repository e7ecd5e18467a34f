"""Push one commit by compare-and-swap, and understand what the server answers.

Invariant: the branch changes only from ``expected`` to the commit. ``Pushed`` is said only where the server reported
it for this very ref. An error is raised only where nothing can have been sent; whenever that is not certain the
outcome is ``Unclear``, and the caller looks.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from controller.adapters.repository.commit import verified
from controller.adapters.repository.failures import MirrorCorrupt, classify, gist
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import Ask, look, place, store
from controller.adapters.repository.process import Finished
from controller.adapters.repository.references import checked_branch, checked_revision
from controller.core.application import Revision
from controller.core.git import BuiltCommit, PushOutcome, PushResult
from controller.ports.repository import InvalidReference, RepositoryDenied, RepositoryError, RepositoryUnavailable

PUSH = (
    "push",
    "--porcelain",
    "--no-verify",
    "--no-signed",
    "--no-follow-tags",
    "--recurse-submodules=no",
    "--no-progress",
)

OWN_BRANCHES = "rollguard/"
"""What the names of branches begin with that Rollguard makes for pull requests."""
_REJECTED = 1
"""``git push`` was answered, and a ref was refused: in a dry run, because somebody pushed meanwhile."""
_ANY_CODE = tuple(range(-64, 256))
_STALE = re.compile(
    r"stale info|fetch first|non-fast-forward|needs force|remote ref updated|cannot lock ref|failed to update ref"
    r"|incorrect old value|reference already exists|failed to lock|reference conflict",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"verified signature|signed commit|must be signed|requires? sign|unverified (?:commit|committer)|not signed|unsigned",
    re.IGNORECASE,
)
_PROTECTED = re.compile(
    r"protected[ -](?:branch|ref)|branch is protected|is protected from|GH006|TF402455|pull request|merge request"
    r"|not allowed to (?:force )?push|cannot update this protected ref",
    re.IGNORECASE,
)
_SERVER_TROUBLE = re.compile(r"unpacker error|unpack failed|internal server error|service unavailable", re.IGNORECASE)
_NO_REPORT = re.compile(r"failed to report status|remote failure", re.IGNORECASE)
_LOCAL_TROUBLE = re.compile(r"pack-objects died|fatal: (?:bad object|unable to read)", re.IGNORECASE)
_NOT_SENT = re.compile(
    r"could not resolve|connection refused|failed to connect|couldn't connect|connection timed out|no route to host"
    r"|network is unreachable|could not read (?:username|password)|authentication failed|permission denied"
    r"|host key verification failed|identification has changed|does not appear to be a git repository"
    r"|repository not found|could not read from remote repository|unable to access|permission to .* denied"
    r"|marked as read only|transport '.*' not allowed",
    re.IGNORECASE,
)
_MAYBE_SENT = re.compile(
    r"RPC failed|send-pack|sideband|unexpected disconnect|hung up unexpectedly|early EOF|broken pipe", re.IGNORECASE
)

Redact = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Report:
    """The porcelain line on one ref: a flag (blank, ``+``, ``*``, ``=``, ``!``) and a summary."""

    flag: str
    summary: str


def push(
    mirror: Mirror,
    commit: BuiltCommit,
    branch: str,
    expected: Revision | None,
    *,
    replaces: bool,
    redact: Redact,
) -> PushOutcome:
    """Push with a lease on ``expected``.

    Raises:
        InvalidReference: the push would not be a fast-forward of it; of a branch of our own it may ``replaces``.
    """
    body = verified(commit)
    check_drops_nothing(commit, branch, expected, replaces=replaces)
    if not _at_hand(mirror, commit, body):
        return PushOutcome(
            PushResult.STALE, "the mirror was made again since and lacks the commit's tree: build it again"
        )
    ref = f"refs/heads/{branch}"
    try:
        done = mirror.git(
            *PUSH,
            f"--force-with-lease={ref}:{expected or ''}",
            "--",
            mirror.address,
            f"{commit.revision}:{ref}",
            network=True,
            ok=_ANY_CODE,
        )
    except RepositoryUnavailable as error:
        return PushOutcome(PushResult.UNCLEAR, str(error))
    return outcome(done, ref, redact)


def check_drops_nothing(commit: BuiltCommit, branch: str, expected: Revision | None, *, replaces: bool) -> None:
    """Make sure that a push drops nobody's commits: only a branch of our own may be replaced.

    Raises:
        InvalidReference: it would.
    """
    checked_branch(branch)
    if replaces and not branch.startswith(OWN_BRANCHES):
        raise InvalidReference(f"{branch!r} is no branch of Rollguard's own: nothing of it is replaced")
    if expected is not None and checked_revision(expected) != commit.parent and not replaces:
        raise InvalidReference(f"commit {commit.revision} is not built on {expected}: such a push would drop commits")


def dry_run(mirror: Mirror, branch: str) -> None:
    """Ask the server to take the branch as it is; raises where it would not let these credentials push at all."""
    ref = f"refs/heads/{branch}"
    refspec = f"{mirror.fetch(branch)}:{ref}"
    done = mirror.git(*PUSH, "--dry-run", "--", mirror.address, refspec, network=True, ok=(0, _REJECTED))
    if reported(done.out.decode(errors="replace"), ref) is None:
        raise RepositoryUnavailable("the server did not say what it would do with a push")


def outcome(done: Finished, ref: str, redact: Redact) -> PushOutcome:
    """What became of a push that ended. Raises where it is certain that nothing was sent."""
    said = done.err.decode(errors="replace")
    report = reported(done.out.decode(errors="replace"), ref)
    if report is None:
        return _without_report(said, redact)
    if report.flag != "!":
        return PushOutcome(PushResult.PUSHED, redact(report.summary))
    refusal = _refusal(report.summary, said)
    message = redact(f"{report.summary}; {_remote_words(said)}")
    if refusal is None:
        raise RepositoryUnavailable(f"the server could not take the push: {message}")
    return PushOutcome(refusal, message)


def reported(porcelain: str, ref: str) -> Report | None:
    """The line that tells of one ref: ``flag TAB from:to TAB summary``."""
    for line in porcelain.splitlines():
        flag, _, rest = line.partition("\t")
        names, _, summary = rest.partition("\t")
        if len(flag) == 1 and names.endswith(f":{ref}"):
            return Report(flag, summary)
    return None


def _refusal(summary: str, said: str) -> PushResult | None:
    """Which refusal it is; None for trouble of the server's that may pass."""
    everything = f"{summary}\n{said}"
    for pattern, result in (
        (_NO_REPORT, PushResult.UNCLEAR),
        (_STALE, PushResult.STALE),
    ):
        if pattern.search(summary):
            return result
    if _SERVER_TROUBLE.search(summary):
        return None
    if _SIGNATURE.search(everything):
        return PushResult.SIGNATURE
    if _PROTECTED.search(everything):
        return PushResult.PROTECTED
    return PushResult.PUSH_RULE


def _without_report(said: str, redact: Redact) -> PushOutcome:
    shown = redact(gist(said))
    if _LOCAL_TROUBLE.search(_ours(said)):
        raise MirrorCorrupt(f"git push: {shown}")
    if _NOT_SENT.search(said) and not _MAYBE_SENT.search(said):
        raise _before_sending(said, shown)
    return PushOutcome(PushResult.UNCLEAR, shown)


def _before_sending(said: str, shown: str) -> RepositoryError:
    error = classify(said, network=True, shown=f"git push: {shown}")
    return error if isinstance(error, RepositoryDenied) else RepositoryUnavailable(f"git push: {shown}")


def _ours(said: str) -> str:
    return "\n".join(line for line in said.splitlines() if not line.startswith("remote:"))


def _remote_words(said: str) -> str:
    lines = [line.removeprefix("remote:").strip() for line in said.splitlines() if line.startswith("remote:")]
    return " ".join(line for line in lines if line)


def _at_hand(mirror: Mirror, commit: BuiltCommit, body: bytes) -> bool:
    """Whether the commit can be pushed from here; a commit object that the mirror lost is written again."""
    if not mirror.exists:
        return False
    here, tree, parent = look(
        mirror, [Ask(place(name, "")) for name in (commit.revision, commit.tree, commit.parent)]
    )
    if tree is None or parent is None:
        return False
    if here is None:
        store(mirror, "commit", [body], like=commit.revision)
    return True
