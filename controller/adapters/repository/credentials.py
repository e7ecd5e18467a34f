"""How Git logs in and signs: files named by the administrator, read at each use, so that a new secret simply takes over.

Invariant: a secret is never in an argument vector, in an environment or in a configuration file. Git asks a credential
helper, which is bound to the configured host and reads the token's file itself; ssh gets the names of its files.
"""

import base64
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from controller.adapters.repository.remote import Remote
from controller.ports.repository import RepositoryDenied

_DEFAULT_USER = "x-access-token"
"""What GitHub Apps want as user name; GitHub, GitLab, Gitea and Forgejo take any beside a token."""
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_LARGEST_TOKEN_FILE = 16_384
_HELPER = (
    '!f() { test "$1" = get || exit 0; printf "username=%s\\npassword=%s\\n" "$ROLLGUARD_GIT_USER"'
    ' "$(tr -d "[:space:]" <"$ROLLGUARD_GIT_TOKEN_FILE")"; }; f'
)
_SSH_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "PermitLocalCommand=no",
    "ControlMaster=no",
    "ControlPath=none",
    "ConnectTimeout=10",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~%@-]{0,127}")
_UNSAFE_IN_FILE_NAME = re.compile(r"[^A-Za-z0-9_./@+,=:-]")


@dataclass(frozen=True, slots=True)
class GitCredentials:
    """Names of files with credentials; the files are read at each use."""

    token_file: Path | None = None
    """A token for http(s): one line."""
    username: str | None = None
    """Overrides who logs in, as the URL or the default has it."""
    ssh_key_file: Path | None = None
    """A private key without passphrase, mode 0600."""
    known_hosts_file: Path | None = None
    """The server's host keys in OpenSSH's format; a host that is not in it is refused."""
    ca_file: Path | None = None
    """Certificate authorities for https in place of the system's, PEM."""
    client_cert_file: Path | None = None
    """A certificate that says who we are over https, PEM; goes with ``client_key_file``."""
    client_key_file: Path | None = None
    config_file: Path | None = None
    """Git configuration for the remote's origin that holds secrets, so that it is no text in an environment."""
    no_proxy: str = ""
    """Hosts that are reached without the proxy of ``config_file``."""
    secrets: tuple[str, ...] = ()
    """What stands in ``config_file`` and must not be shown."""
    hint: str = ""
    """What to say beside the server's refusal: why there are no better credentials."""


class CredentialSource(Protocol):
    """Credentials that come from somewhere else than files of the administrator's, and change."""

    def current(self) -> GitCredentials:
        """Those that are valid now.

        Raises:
            RepositoryDenied: there are some, and they cannot be used.
            RepositoryUnavailable: where they come from does not answer.
        """
        ...

    def renewed(self) -> bool:
        """Called after the server refused them: whether others are there now, with which to try once more."""
        ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The SSH key that signs commits; Ed25519 signatures are deterministic."""

    ssh_key_file: Path


@dataclass(frozen=True, slots=True)
class Access:
    """What one run of Git over the network gets, and what must not be shown of it."""

    environment: tuple[tuple[str, str], ...] = ()
    config: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()


def access(remote: Remote, credentials: GitCredentials | None) -> Access:
    """How to reach the remote now. Raises RepositoryDenied where a file is missing or not what it should be."""
    given = credentials or GitCredentials()
    if given.username is not None and not _USER.fullmatch(given.username):
        raise RepositoryDenied("credentials.username has characters that a user name may not have")
    if remote.scheme == "ssh":
        if given.hint and given.ssh_key_file is None:
            raise RepositoryDenied(given.hint)
        return _by_ssh(remote, given)
    if remote.scheme in ("https", "http"):
        return _by_token(remote, given)
    return Access()


def signing_config(key: SigningKey) -> tuple[tuple[str, str], ...]:
    """Configuration by which ``commit-tree -S`` signs. Raises RepositoryDenied where the key cannot be read."""
    path = _readable(key.ssh_key_file, "signing.sshKeyFile")
    return (("gpg.format", "ssh"), ("user.signingKey", str(path)))


def _by_token(remote: Remote, given: GitCredentials) -> Access:
    environment, config = _connection(remote, given)
    if given.token_file is None:
        return Access(environment, tuple(config), given.secrets)
    path = _readable(given.token_file, "credentials.tokenFile")
    token = _token(path)
    user = given.username or remote.user or _DEFAULT_USER
    encoded = base64.b64encode(f"{user}:{token}".encode()).decode()
    config.append((f"credential.{remote.origin}.helper", _HELPER))
    return Access(
        environment=(*environment, ("ROLLGUARD_GIT_USER", user), ("ROLLGUARD_GIT_TOKEN_FILE", str(path))),
        config=tuple(config),
        secrets=(token, encoded, *given.secrets),
    )


def _connection(remote: Remote, given: GitCredentials) -> tuple[tuple[tuple[str, str], ...], list[tuple[str, str]]]:
    """Environment and configuration by which the server is reached and trusted."""
    files = (
        ("http.sslCAInfo", given.ca_file, "credentials.caFile"),
        (f"http.{remote.origin}.sslCert", given.client_cert_file, "the client certificate"),
        (f"http.{remote.origin}.sslKey", given.client_key_file, "the client certificate's key"),
        ("include.path", given.config_file, "the configuration with credentials"),
    )
    config = [(key, str(_readable(path, field))) for key, path, field in files if path is not None]
    names = ("no_proxy", "NO_PROXY") if given.no_proxy else ()
    return tuple((name, given.no_proxy) for name in names), config


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_TOKEN_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise RepositoryDenied(f"credentials.tokenFile {path} cannot be read as a token") from None
    if not _TOKEN.fullmatch(text):
        raise RepositoryDenied(f"credentials.tokenFile {path} must hold one token on one line")
    return text


def _by_ssh(remote: Remote, given: GitCredentials) -> Access:
    if given.ssh_key_file is None or given.known_hosts_file is None:
        raise RepositoryDenied("SSH needs credentials.sshKeyFile and credentials.knownHostsFile; neither is guessed")
    key = _readable(given.ssh_key_file, "credentials.sshKeyFile")
    hosts = _readable(given.known_hosts_file, "credentials.knownHostsFile")
    command = ["ssh", "-F", "/dev/null", "-i", str(key), "-o", f"UserKnownHostsFile={hosts}"]
    for option in _SSH_OPTIONS:
        command += ["-o", option]
    if given.username and remote.user is None:
        command += ["-l", given.username]
    return Access(environment=(("GIT_SSH_COMMAND", shlex.join(command)), ("GIT_SSH_VARIANT", "ssh")))


def _readable(path: Path, field: str) -> Path:
    """The absolute path of a file that can be read, with no character that ssh or a shell would read otherwise."""
    absolute = path.absolute()
    if _UNSAFE_IN_FILE_NAME.search(str(absolute)):
        raise RepositoryDenied(
            f"{field} has a character in its name that ssh would not take literally: rename the file"
        )
    try:
        with absolute.open("rb"):
            return absolute
    except OSError as error:
        raise RepositoryDenied(f"{field} {absolute} cannot be read: {error.strerror}") from None
