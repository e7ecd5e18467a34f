"""The only place that runs Git.

GitPython starts the process; none of its conveniences are used, since its guards are denylists and its timeout leaves
processes behind. What runs is a fixed argument vector whose parts were checked (references.py) in an environment that
is built here: nothing of the machine's or the user's Git configuration, no hooks, no filters, no attributes, no
replacements, no prompt, and one transport, the configured URL's own.

Invariant: after ``run`` the process and its group are gone; every failure is of the port's tree and shows no secret.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, Popen
from typing import cast

from git import Git
from git.exc import GitCommandNotFound

from controller.adapters.repository.credentials import (
    Access,
    CredentialSource,
    GitCredentials,
    SigningKey,
    access,
    signing_config,
)
from controller.adapters.repository.failures import classify, gist, words
from controller.adapters.repository.process import (
    Conversation,
    Deadline,
    Finished,
    Sink,
    TimedOut,
    TooMuchOutput,
    finish,
)
from controller.adapters.repository.remote import Remote
from controller.ports.repository import RepositoryBroken, RepositoryDenied, RepositoryError, RepositoryUnavailable

OLDEST_GIT = (2, 38)
"""``cat-file --batch-command -z``."""

_OUTPUT_LIMIT = 1 << 26
_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = ("PATH", "TMPDIR")
_KEPT_FOR_NETWORK = (
    *("https_proxy", "HTTPS_PROXY", "http_proxy", "no_proxy", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"),
)
"""Where a proxy is and whom to trust: the administrator says so in the environment. Never used for loopback."""

_ENVIRONMENT = {
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
}
_CONFIG = (
    ("core.hooksPath", "/dev/null"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.autocrlf", "false"),
    ("core.fsync", "none"),  # the mirror is a cache: after a power cut it is found corrupt and made again
    ("credential.helper", ""),
    ("http.followRedirects", "false"),
    ("http.sslVerify", "true"),
    ("http.lowSpeedLimit", "1"),
    ("protocol.version", "2"),
    ("transfer.credentialsInUrl", "die"),
    ("transfer.bundleURI", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("push.followTags", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.gpgSign", "false"),
    ("submodule.recurse", "false"),
    ("commit.gpgSign", "false"),
    ("i18n.commitEncoding", "UTF-8"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("diff.renames", "false"),
)


_LONGEST_SILENCE = 30
"""Seconds without a byte after which an HTTP transfer is given up, even a long first one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who writes a commit object and when: Git's ``raw`` date."""

    name: str
    email: str
    date: str

    def environment(self) -> dict[str, str]:
        """As Git takes it."""
        values = {"NAME": self.name, "EMAIL": self.email, "DATE": self.date}
        return {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in values.items()}


class GitCommand:
    """Runs Git for one remote repository."""

    def __init__(
        self, remote: Remote, credentials: GitCredentials | CredentialSource | None, signing: SigningKey | None
    ) -> None:
        self.remote = remote
        self._credentials = credentials
        self._signing = signing

    @property
    def signs(self) -> bool:
        """Whether commits are signed."""
        return self._signing is not None

    def run(
        self,
        *arguments: str,
        deadline: Deadline,
        folder: Path | None = None,
        feed: bytes = b"",
        network: bool = False,
        signer: Identity | None = None,
        limit: int = _OUTPUT_LIMIT,
        sink: Sink | None = None,
        ok: Sequence[int] = (0,),
    ) -> Finished:
        """Run ``git`` with these arguments in the bare repository ``folder``; raises the port's errors."""
        try:
            login = access(self.remote, self._given()) if network else Access()
            process = self._start(arguments, self._prepare(login, folder, signer, deadline), fed=bool(feed))
            done = finish(process, feed, deadline, limit, sink)
        except TimedOut:
            raise RepositoryUnavailable(f"git {arguments[0]} was not done in time and was stopped") from None
        except TooMuchOutput:
            raise RepositoryBroken(f"git {arguments[0]} said more than {limit} bytes") from None
        if done.code not in ok:
            text = done.err.decode(errors="replace")
            shown = f"git {arguments[0]}: {words(gist(text), login.secrets)}"
            raise classify(text, network=network, shown=shown)
        return done

    def converse(self, *arguments: str, folder: Path, deadline: Deadline) -> Conversation:
        """Start a ``git`` that answers questions, without the network; the caller closes it."""
        return Conversation(self._start(arguments, self._prepare(Access(), folder, None, deadline), fed=True))

    def redactor(self) -> Callable[[str], str]:
        """What makes a server's words safe to show. Reads the credentials now, so that nothing can fail later."""
        secrets = access(self.remote, self._given()).secrets
        return lambda text: words(text, secrets)

    def renewed(self) -> bool:
        """Whether there are other credentials than those that the server has just refused."""
        given = self._credentials
        return given is not None and not isinstance(given, GitCredentials) and given.renewed()

    def explained(self, refusal: RepositoryDenied) -> RepositoryDenied:
        """The refusal, with what is known of why there are no better credentials."""
        try:
            given = self._given()
        except RepositoryError:
            return refusal
        said = str(refusal)
        if given is None or not given.hint or given.hint in said:
            return refusal
        return RepositoryDenied(f"{given.hint} ({said})")

    def _given(self) -> GitCredentials | None:
        given = self._credentials
        return given if given is None or isinstance(given, GitCredentials) else given.current()

    def check_version(self, deadline: Deadline) -> None:
        """Raises RepositoryBroken where Git is missing or too old."""
        said = self.run("version", deadline=deadline).out.decode(errors="replace")
        found = re.search(r"(\d+)\.(\d+)", said)
        if not found or (int(found[1]), int(found[2])) < OLDEST_GIT:
            needed = ".".join(str(part) for part in OLDEST_GIT)
            raise RepositoryBroken(f"git {needed} or newer is needed; this is {said.strip()[:60]}")

    def _prepare(
        self, login: Access, folder: Path | None, signer: Identity | None, deadline: Deadline
    ) -> dict[str, str]:
        config = [*_CONFIG, ("http.lowSpeedTime", str(_silence(deadline))), *login.config]
        environment = {**_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": self.remote.scheme, **dict(login.environment)}
        if folder is not None:
            environment["GIT_DIR"] = str(folder)
        if signer is not None:
            environment |= signer.environment()
            config += signing_config(self._signing) if self._signing else ()
        environment["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config):
            environment[f"GIT_CONFIG_KEY_{number}"] = key
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment

    def _start(self, arguments: Sequence[str], environment: dict[str, str], *, fed: bool) -> "Popen[bytes]":
        if "PATH" not in os.environ:
            environment["PATH"] = _SEARCH_PATH
        try:
            started = Git("/").execute(
                [*self._without_inherited(environment), "git", *arguments],
                istream=PIPE if fed else None,
                as_process=True,
                env=environment,
                shell=False,
                start_new_session=True,
            )
        except (GitCommandNotFound, OSError) as error:
            raise RepositoryBroken(f"git could not be started: {type(error).__name__}") from None
        process, started.proc = started.proc, None  # else the wrapper ends the process when it is collected
        return cast("Popen[bytes]", process)

    def _without_inherited(self, environment: dict[str, str]) -> list[str]:
        """``env -u NAME …``: GitPython always passes its own environment on, so what is not wanted is taken out.

        Names only: a value, perhaps a secret of another part, never stands in an argument vector.
        """
        kept = {*_KEPT, *(() if self.remote.loopback else _KEPT_FOR_NETWORK), *environment}
        command = ["env"]
        for name in os.environ:
            if name not in kept:
                command += ["-u", name]
        return command


def _silence(deadline: Deadline) -> int:
    return min(max(int(deadline.remaining()), 1), _LONGEST_SILENCE)
