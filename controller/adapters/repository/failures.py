"""What Git's words mean in the port's tree of errors.

Invariant: a message that leaves here is one line, without control characters, without the secrets that are known and
without anything that a URL or an Authorization header carries. Git runs with ``LC_ALL=C``, so its words are English.
"""

import re
from collections.abc import Iterable

from controller.ports.repository import (
    RepositoryBroken,
    RepositoryDenied,
    RepositoryError,
    RepositoryUnavailable,
    RevisionUnknown,
)

_LONGEST_MESSAGE = 240

_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_READ_ONLY = re.compile(
    r"read-only file system|unable to create temporary file|insufficient permission for adding", re.IGNORECASE
)
_CORRUPT = re.compile(
    r"is corrupt|corrupt loose object|object file .* is empty|unable to unpack|inflate: |packfile .* (?:cannot|does|is)"
    r"|index mismatch|pack has bad object|garbage at end of loose|not a git repository|bad object |bad tree object"
    r"|missing (?:blob|tree|commit|object)|unable to read (?:tree|sha1 file|[0-9a-f]{40})|could not read [0-9a-f]{40}"
    r"|did not send all necessary objects|failed to traverse parents|failed to read object|bad config|hash mismatch"
    r"|mismatched algorithms|reference broken|unable to resolve reference|unable to parse (?:object|commit)|failed to parse"
    r"|unresolved deltas|invalid object|bad signature|object corrupt",
    re.IGNORECASE,
)
_STALE_LOCK = re.compile(r"unable to create '([^'\n]*\.lock)': file exists", re.IGNORECASE)
_DENIED = re.compile(
    r"authentication failed|could not read (?:username|password)|permission denied|host key verification failed"
    r"|remote host identification has changed|invalid (?:username|credentials)|incorrect username|bad credentials"
    r"|returned error: 40[134]|repository not found|unprotected private key|load key |no such identity"
    r"|too many authentication failures|no supported authentication|not authorized|unauthorized|access denied|forbidden"
    r"|marked as read only|not granted|not allowed to (?:push|upload|download)|insufficient permission|no mutual signature",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"couldn't find remote ref|not our ref|unadvertised object|unknown revision|not a valid (?:object|commit name)"
    r"|bad revision|ambiguous argument|remote branch .* not found|no such remote ref",
    re.IGNORECASE,
)
_REDIRECT = re.compile(r"returned error: 30\d|from redirection", re.IGNORECASE)
_UNADVERTISED = re.compile(r"unadvertised object", re.IGNORECASE)
_REMOTE_LINE = re.compile(r"^remote: ", re.MULTILINE)
_SIGNING = re.compile(
    r"load key|unprotected private key|incorrect passphrase|ssh-keygen|failed to sign", re.IGNORECASE
)
_CANNOT_SIGN = "signing.sshKeyFile cannot sign (it needs mode 0600 and no passphrase)"
_REFUSED = "the server refuses these credentials, or they may not see the repository"
_REDIRECTED = "the server redirects, which is not followed: set the new address as url"
_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_AUTHORIZATION = re.compile(r"(?i)(authorization:\s*(?:basic|bearer)?|\b(?:basic|bearer))\s+\S+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class MirrorCorrupt(RepositoryBroken):
    """The kept mirror cannot be read: it is to be made again."""


class StaleLock(RepositoryUnavailable):
    """A lock file of a Git process that was killed is in the way."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class RevisionHidden(RevisionUnknown):
    """The server does not hand out revisions by their name: its branches must be looked through."""


def words(text: str, secrets: Iterable[str] = ()) -> str:
    """Untrusted words of a server or of Git, made safe to show: one line, bounded, no secret."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _AUTHORIZATION.sub(r"\1 ***", _IN_URL.sub("***@", text))
    return _CONTROL.sub(" ", text).strip()[:_LONGEST_MESSAGE]


def gist(stderr: str) -> str:
    """The lines that say what went wrong, in place of all."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    telling = [
        line for line in lines if line.lower().startswith(("fatal:", "error:", "remote: error", "remote: fatal"))
    ]
    return "; ".join((telling or lines)[:3]) or "git said nothing"


def classify(stderr: str, *, network: bool, shown: str) -> RepositoryError:
    """The error for a Git command that failed; ``shown`` is the redacted gist, ``stderr`` is only looked at.

    The local disk comes first, but what the server says of *its* disk (lines of ``remote:``) is the server's trouble.
    """
    ours = "\n".join(line for line in stderr.splitlines() if not _REMOTE_LINE.match(line))
    return _full_or_locked(ours, shown) or _told(stderr, ours, network=network, shown=shown)


def _full_or_locked(ours: str, shown: str) -> RepositoryError | None:
    if _DISK_FULL.search(ours) and "remote unpack failed" not in ours:
        return RepositoryBroken(f"no space left for the mirror: free some, or make its volume larger ({shown})")
    if _READ_ONLY.search(ours) and "remote unpack failed" not in ours:
        return RepositoryBroken(f"the mirror's folder cannot be written: {shown}")
    if found := _STALE_LOCK.search(ours):
        return StaleLock(f"another Git process holds the mirror: {shown}", found[1])
    return None


def _told(stderr: str, ours: str, *, network: bool, shown: str) -> RepositoryError:
    for applies, make in (
        (not network and _SIGNING.search(ours), lambda: RepositoryDenied(f"{_CANNOT_SIGN}: {shown}")),
        (network and _DENIED.search(stderr), lambda: RepositoryDenied(f"{_REFUSED}: {shown}")),
        (_UNADVERTISED.search(stderr), lambda: RevisionHidden(shown)),
        (_UNKNOWN.search(stderr), lambda: RevisionUnknown(shown)),
        (
            _CORRUPT.search(ours) and "does not appear to be a git repository" not in ours,
            lambda: MirrorCorrupt(shown),
        ),
        (network and _REDIRECT.search(stderr), lambda: RepositoryUnavailable(f"{_REDIRECTED}: {shown}")),
        (network, lambda: RepositoryUnavailable(shown)),
    ):
        if applies:
            return make()
    return RepositoryBroken(shown)
