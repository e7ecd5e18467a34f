"""Build a commit in the mirror and keep it byte for byte.

Invariant: the same arguments give the same commit; a kept commit is trusted only after its id was worked out again from
its bytes. Its date, its identity and its message come from the caller alone, nothing from this machine.
"""

import base64
import binascii
import re

from controller.adapters.repository.command import Identity
from controller.adapters.repository.history import parents_of
from controller.adapters.repository.mirror import Mirror
from controller.adapters.repository.objects import bodies, object_id
from controller.adapters.repository.references import checked_revision
from controller.core.application import Revision
from controller.core.git import BuiltCommit, CommitIdentity
from controller.ports.repository import InvalidReference

_FORBIDDEN_IN_NAME = re.compile(r"[<>\x00-\x1f\x7f]")
_FORBIDDEN_IN_MESSAGE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LONGEST_MESSAGE = 65_536
_TREE = re.compile(rb"tree ([0-9a-f]{40}|[0-9a-f]{64})\n")


def build(
    mirror: Mirror, *, parent: Revision, tree: str, message: str, identity: CommitIdentity, at: float, sign: bool
) -> BuiltCommit:
    """Write the commit object. Raises RevisionUnknown where parent or tree are not in the mirror (any more)."""
    checked_revision(parent)
    checked_revision(tree)
    if not message.strip() or len(message) > _LONGEST_MESSAGE or _FORBIDDEN_IN_MESSAGE.search(message):
        raise InvalidReference("the commit message is empty, too long or has control characters")
    said = mirror.git(
        *("commit-tree", *(("-S",) if sign else ()), "-p", parent, "-F", "-", tree),
        feed=message.encode(errors="replace"),
        signer=_signer(identity, at),
    )
    revision = checked_revision(said.out.decode().strip())
    body = bodies(mirror, [revision])[revision]
    return BuiltCommit(revision, parent, tree, base64.b64encode(body).decode())


def verified(commit: BuiltCommit) -> bytes:
    """The commit's bytes, once they are shown to be what the other fields say. Raises InvalidReference."""
    checked_revision(commit.revision)
    try:
        body = base64.b64decode(commit.data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidReference(f"the bytes kept of commit {commit.revision} are not Base64") from None
    tree = _TREE.match(body)
    if object_id("commit", body, like=commit.revision) != commit.revision or not tree:
        raise InvalidReference(f"the bytes kept of commit {commit.revision} have another id")
    if parents_of(body) != (commit.parent,) or tree[1].decode() != commit.tree:
        raise InvalidReference(f"commit {commit.revision} has another parent or tree than was noted")
    return body


def _signer(identity: CommitIdentity, at: float) -> Identity:
    name, email = identity.name.strip(), identity.email.strip()
    if not name or not email or _FORBIDDEN_IN_NAME.search(name + email):
        raise InvalidReference(
            "commit.name and commit.email must not be empty or have '<', '>' or control characters"
        )
    if not 0 <= at < 1 << 40:
        raise InvalidReference("the commit's date is no Unix time in seconds")
    return Identity(name, email, f"@{int(at)} +0000")
