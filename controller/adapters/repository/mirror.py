"""A kept bare mirror of one remote repository: an object database, never a checkout.

Invariant: one process and one thread at a time work in a mirror (a lock file beside it and a lock in memory). Nothing
in it is the only copy of anything: a mirror that cannot be read is thrown away and made again, once an operation.
The first fetch brings the branch's whole history; the next ones bring what is new.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import structlog

from controller.adapters.repository.command import GitCommand, Identity
from controller.adapters.repository.failures import MirrorCorrupt, RevisionHidden, StaleLock, classify, gist, words
from controller.adapters.repository.process import Conversation, Deadline, Finished, Sink, TimedOut, TooMuchOutput
from controller.core.application import Revision
from controller.ports.repository import RepositoryBroken, RepositoryError, RepositoryUnavailable, RevisionUnknown

T = TypeVar("T")

_HEADS = "refs/rollguard/heads"
_PINS = "refs/rollguard/pins"
_ALL = "refs/rollguard/all"
_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-show-forced-updates",
)
_SHORT_ANSWER = 1 << 16
_LOCK_POLL = 0.02
_LEFTOVER_AGE = 3600.0
"""Seconds after which a temporary file in the mirror belongs to no living process."""
_MOST_LOOSE = 2000
_MOST_PACKS = 30

_log = structlog.get_logger(__name__)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Map what the file system says to the port's tree."""
    try:
        yield
    except OSError as error:
        raise RepositoryBroken(f"the mirror's folder cannot be used: {error.strerror}: {error.filename}") from None


class Mirror:
    """The mirror's folder under a root, its lock, and Git run in it."""

    def __init__(self, root: Path, command: GitCommand, *, timeout: float, clone_timeout: float) -> None:
        name = command.remote.canonical
        slug = re.sub(r"[^a-z0-9]+", "-", name.rpartition("/")[2].lower()).strip("-")[:40]
        self.folder = root.absolute() / f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:24]}.git"
        self._command = command
        self._timeout, self._clone_timeout = timeout, clone_timeout
        self._lock = threading.Lock()
        self._deadline = Deadline(timeout)
        self._checked = False
        self._objects: Conversation | None = None

    def use(self, operation: Callable[[], T], *, mend: bool = True) -> T:
        """Run an operation under the lock; where the mirror proves corrupt and ``mend``, make it again and retry once.

        The whole of it, the wait for the lock included, is bounded by the timeout, except a first fetch.
        """
        deadline = Deadline(self._timeout)
        with self._locked(deadline):
            self._deadline = deadline
            try:
                self._check_once()
                return self._run(operation)
            except StaleLock as error:
                self._break_lock(error)
            except MirrorCorrupt as error:
                self._discard(str(error))
                if not mend:
                    raise
            deadline.allow(self._timeout)
            return self._run(operation)

    def git(
        self,
        *arguments: str,
        feed: bytes = b"",
        network: bool = False,
        signer: Identity | None = None,
        limit: int | None = None,
        sink: Sink | None = None,
        ok: tuple[int, ...] = (0,),
    ) -> Finished:
        """Run Git in the mirror, within the operation's deadline. Only inside ``use``."""
        bound = {} if limit is None else {"limit": limit}
        return self._command.run(
            *arguments,
            deadline=self._deadline,
            folder=self.folder,
            feed=feed,
            network=network,
            signer=signer,
            sink=sink,
            ok=ok,
            **bound,
        )

    def ask(self, feed: bytes, answered: Callable[[bytearray], bool], limit: int) -> bytes:
        """Ask the mirror's object database (``cat-file --batch-command -z``). Only inside ``use``.

        One process answers all questions of an operation, and sees what is fetched or written meanwhile.
        """
        if self._objects is None:
            options = ("cat-file", "--batch-command", "-z")
            self._objects = self._command.converse(*options, folder=self.folder, deadline=self._deadline)
        try:
            said = self._objects.ask(feed, answered, self._deadline, limit)
        except TimedOut:
            raise RepositoryUnavailable("git cat-file was not done in time and was stopped") from None
        except TooMuchOutput:
            raise RepositoryBroken(f"git cat-file said more than {limit} bytes") from None
        if said is None:
            complaint = self._objects.complaint.decode(errors="replace")
            self._hang_up()
            raise classify(complaint, network=False, shown=f"git cat-file: {words(gist(complaint))}")
        return bytes(said)

    @property
    def exists(self) -> bool:
        """Whether there is a mirror yet (or still)."""
        return (self.folder / "HEAD").is_file()

    @property
    def address(self) -> str:
        """The remote's URL as Git gets it."""
        return self._command.remote.url

    def fetch(self, branch: str) -> Revision:
        """Fetch a branch; returns its head. Raises RevisionUnknown where the server has no such branch."""
        if not self.exists:
            self._create(self._object_format(branch))
        self._bring(f"+refs/heads/{branch}:{_ref(branch)}")
        head = self._named(f"{_ref(branch)}^{{commit}}".encode())
        if head is None:
            raise MirrorCorrupt("the fetched branch is not there")
        return head

    def listed(self, option: str, *patterns: str, ok: tuple[int, ...] = (0,)) -> Finished:
        """What the server says of its refs (``ls-remote``); needs nothing here. Only inside ``use``."""
        asked = ("ls-remote", option, "--", self.address, *patterns)
        return self._command.run(*asked, deadline=self._deadline, network=True, ok=ok)

    def default_branch(self) -> str:
        """The branch that the server's HEAD names. Raises RevisionUnknown where it names none."""
        asked = self.listed("--symref", "HEAD")
        named = re.match(rb"ref: refs/heads/(\S+)\tHEAD\n", asked.out)
        if named is None:
            raise RevisionUnknown("the repository's HEAD names no branch: set targetRevision to one")
        return named[1].decode(errors="replace")

    def has(self, *revisions: Revision) -> tuple[bool, ...]:
        """Which commits are here."""
        if not self.exists:
            return (False,) * len(revisions)
        return tuple(self._named(f"{revision}^{{commit}}".encode()) is not None for revision in revisions)

    def _named(self, name: bytes) -> Revision | None:
        """The commit of a name, where there is one; peeling says ``missing`` for everything else."""
        answer = self.ask(b"info " + name + b"\0", lambda said: said.endswith(b"\n"), _SHORT_ANSWER)
        oid, kind = answer.split(b" ")[:2]
        return Revision(oid.decode()) if kind == b"commit" else None

    def bring(self, revision: Revision) -> bool:
        """Fetch one revision by its name, unless it is here; says whether it is here now."""
        if not self.exists:
            self._create("sha256" if len(revision) == hashlib.sha256().digest_size * 2 else "sha1")
        if self.has(revision)[0]:
            return True
        try:
            self._bring(f"+{revision}:{_PINS}/{revision}")
        except RevisionHidden:
            self._bring(f"+refs/heads/*:{_ALL}/*", "--prune")
        except RevisionUnknown:
            return False
        return self.has(revision)[0]

    def require(self, *revisions: Revision) -> None:
        """Raises RevisionUnknown unless each revision is here or can be fetched."""
        for revision, here in zip(revisions, self.has(*revisions), strict=True):
            if not here and not self.bring(revision):
                raise RevisionUnknown(f"{revision} is not in the repository, or not any more")

    def _run(self, operation: Callable[[], T]) -> T:
        try:
            return operation()
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._objects is not None:
            self._objects.close()
            self._objects = None

    def tend(self) -> None:
        """Pack what has gathered, if much has, and take away what killed processes left.

        Small packs are rolled up into larger ones, the large ones stay as they are, and nothing is ever pruned: what a
        force push took out of the branch may be the last good revision. What fails is said, and tried the next time.
        """
        now = time.time()
        for leftover in self.folder.glob("objects/**/tmp_*"):
            with contextlib.suppress(OSError):
                if now - leftover.stat().st_mtime > _LEFTOVER_AGE:
                    leftover.unlink()
        if not self._is_untidy():
            return
        try:
            self.git("repack", "--quiet", "-d", "-l", "--geometric=2", "--no-write-bitmap-index")
        except MirrorCorrupt:
            raise
        except RepositoryError as error:
            _log.warning("mirror_not_packed", repository=self._command.remote.canonical, why=str(error))

    def _is_untidy(self) -> bool:
        """Object names are spread evenly, so one of 256 folders tells how many loose objects there are."""
        objects = self.folder / "objects"
        loose = sum(1 for _ in objects.glob("17/*")) * 256
        return loose > _MOST_LOOSE or sum(1 for _ in objects.glob("pack/*.pack")) > _MOST_PACKS

    def _bring(self, refspec: str, *options: str) -> None:
        if not self._fetched_before():
            self._deadline.allow(self._clone_timeout)
        self.git(*_FETCH, *options, "--no-recurse-submodules", "--", self.address, refspec, network=True)

    def _fetched_before(self) -> bool:
        return (self.folder / "packed-refs").exists() or any((self.folder / "refs" / "rollguard").glob("*/*"))

    def _object_format(self, branch: str) -> str:
        ref = f"refs/heads/{branch}"
        asked = self.listed("--exit-code", ref, ok=(0, 2))
        name = asked.out.split(b"\t")[0]
        if not name:
            raise RevisionUnknown(f"the repository has no branch {branch}")
        return "sha256" if len(name) == hashlib.sha256().digest_size * 2 else "sha1"

    def _create(self, object_format: str) -> None:
        fresh = self.folder.with_name(self.folder.name + ".new")
        with disk_errors():
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(self.folder, ignore_errors=True)
        options = ("--quiet", "--bare", "--template=", f"--object-format={object_format}")
        self._command.run("init", *options, "--", str(fresh), deadline=self._deadline)
        with disk_errors():
            (fresh / "HEAD").write_text("ref: refs/heads/rollguard-has-no-head\n")
            fresh.rename(self.folder)

    def _discard(self, why: str) -> None:
        _log.warning("mirror_corrupt", repository=self._command.remote.canonical, why=why, then="made again")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _break_lock(self, error: StaleLock) -> None:
        """Take away a lock file that a killed Git left in our mirror; a young one may be a living process's."""
        path = Path(error.path)
        try:
            inside = path.resolve().is_relative_to(self.folder.resolve())
            if not inside or time.time() - path.stat().st_mtime < self._timeout:
                raise error
            path.unlink()
        except FileNotFoundError:
            return
        _log.warning("mirror_lock_removed", repository=self._command.remote.canonical, lock=path.name)

    def _check_once(self) -> None:
        if not self._checked:
            self._command.check_version(self._deadline)
            self._checked = True

    @contextlib.contextmanager
    def _locked(self, deadline: Deadline) -> Iterator[None]:
        if not self._lock.acquire(timeout=max(deadline.remaining(), 0)):
            raise RepositoryUnavailable("another operation on this repository did not end in time")
        try:
            with disk_errors():
                self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                handle = os.open(self.folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock_file(handle, deadline)
                yield
            finally:
                os.close(handle)
        finally:
            self._lock.release()


def _ref(branch: str) -> str:
    """The mirror's own ref; hashed, so that branches ``a`` (gone) and ``a/b`` (new) do not stand in each other's way."""
    return f"{_HEADS}/{hashlib.sha256(branch.encode()).hexdigest()[:40]}"


def _lock_file(handle: int, deadline: Deadline) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if deadline.remaining() <= 0:
                raise RepositoryUnavailable("another process held this repository's mirror all the time") from None
            time.sleep(_LOCK_POLL)
        else:
            return
