"""The whole way over SSH and HTTP: logging in, being refused, and answers that are lost."""

import base64
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.repository import GitCredentials, GitRepository, SigningKey
from controller.core.application import Revision
from controller.core.git import BuiltCommit, CommitIdentity, PushResult, RestoreRequest, RollbackPath
from controller.ports.repository import RepositoryDenied, RepositoryError, RepositoryUnavailable
from tests.servers.git import Fault, GitRemote, HttpGit, SshServer, http_git, make_key, run_git, ssh_server


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def http(tmp_path: Path) -> Iterator[HttpGit]:
    with http_git(tmp_path / "served") as server:
        yield server


@pytest.fixture
def token(tmp_path: Path, http: HttpGit) -> Path:
    path = tmp_path / "token"
    path.write_text(http.token + "\n")
    return path


def over_http(http: HttpGit, remote: GitRemote, tmp_path: Path, token: Path | None, **more: float) -> GitRepository:
    return GitRepository(
        http.url(remote), mirror_root=tmp_path / "mirrors", credentials=GitCredentials(token_file=token), **more
    )


def over_ssh(ssh: SshServer, remote: GitRemote, tmp_path: Path, **changes: Path | None) -> GitRepository:
    credentials = GitCredentials(**{"ssh_key_file": ssh.key, "known_hosts_file": ssh.known_hosts} | changes)  # type: ignore[arg-type]
    return GitRepository(ssh.url(remote), mirror_root=tmp_path / "mirrors", credentials=credentials)


def story(remote: GitRemote) -> tuple[Revision, Revision]:
    good = remote.commit({"app/a.yaml": "version: 1\n"})
    return Revision(good), Revision(remote.commit({"app/a.yaml": "version: 2\n"}))


def build(repository: GitRepository, good: Revision, bad: Revision) -> BuiltCommit:
    facts = repository.inspect(RestoreRequest("main", ("app",), good, bad))
    assert facts.tree is not None
    return repository.build(
        parent=facts.head, tree=facts.tree, message="Roll back\n", identity=CommitIdentity(), at=1_800_000_000
    )


def test_a_restore_over_ssh_signed(ssh: SshServer, remote: GitRemote, tmp_path: Path) -> None:
    """Clone, inspect, build with a signature, push by a real sshd; the signature verifies and is deterministic."""
    good, bad = story(remote)
    key = make_key(tmp_path / "signing")
    credentials = GitCredentials(ssh_key_file=ssh.key, known_hosts_file=ssh.known_hosts)
    repository = GitRepository(
        ssh.url(remote), mirror_root=tmp_path / "mirrors", credentials=credentials, signing=SigningKey(key)
    )
    commit = build(repository, good, bad)
    assert commit == build(repository, good, bad)
    assert b"gpgsig -----BEGIN SSH SIGNATURE-----" in base64.b64decode(commit.data)
    assert repository.push(commit, "main", bad).result is PushResult.PUSHED
    signers = tmp_path / "signers"
    signers.write_text("* " + key.with_suffix(".pub").read_text())
    trust = f"gpg.ssh.allowedSignersFile={signers}"
    run_git("-c", trust, "-c", "gpg.format=ssh", "verify-commit", commit.revision, cwd=remote.folder)
    assert repository.rollback_path("main") is RollbackPath.PUSH


def test_ssh_refuses_a_host_it_does_not_know(ssh: SshServer, remote: GitRemote, tmp_path: Path) -> None:
    """Another host key, or none on file, is Denied; nothing is learnt by itself."""
    story(remote)
    stranger = make_key(tmp_path / "stranger")
    hosts = tmp_path / "hosts"
    public = " ".join(stranger.with_suffix(".pub").read_text().split()[:2])
    for text in (f"[127.0.0.1]:{ssh.port} {public}\n", ""):
        hosts.write_text(text)
        with pytest.raises(RepositoryDenied):
            over_ssh(ssh, remote, tmp_path, known_hosts_file=hosts).fetch("main")
        assert hosts.read_text() == text


def test_ssh_refuses_the_wrong_key(ssh: SshServer, remote: GitRemote, tmp_path: Path) -> None:
    """A key that the server does not know is Denied, without a prompt; so is the way."""
    story(remote)
    wrong = over_ssh(ssh, remote, tmp_path, ssh_key_file=make_key(tmp_path / "wrong"))
    with pytest.raises(RepositoryDenied):
        wrong.fetch("main")
    with pytest.raises(RepositoryDenied):
        wrong.rollback_path("main")


@pytest.mark.parametrize("field", ["ssh_key_file", "known_hosts_file"])
def test_ssh_guesses_no_file(ssh: SshServer, remote: GitRemote, tmp_path: Path, field: str) -> None:
    """Without a key file or known hosts, or where one is missing, nothing is tried; the field is named."""
    for value in (None, tmp_path / "missing", tmp_path / "a file%d"):
        with pytest.raises(RepositoryDenied, match="credentials"):
            over_ssh(ssh, remote, tmp_path, **{field: value}).fetch("main")


def test_a_key_that_others_may_read_is_told(remote: GitRemote, repository: GitRepository, tmp_path: Path) -> None:
    """A signing key that ssh-keygen refuses is Denied, with the field and what it needs."""
    good, bad = story(remote)
    key = make_key(tmp_path / "signing")
    key.chmod(0o644)
    signing = GitRepository(remote.url, mirror_root=tmp_path / "mirrors", signing=SigningKey(key))
    with pytest.raises(RepositoryDenied, match=r"signing\.sshKeyFile"):
        build(signing, good, bad)


def test_a_restore_over_http_with_a_token(http: HttpGit, token: Path, remote: GitRemote, tmp_path: Path) -> None:
    """Clone, inspect, build and push with a token that is read at each use, so that a new one takes over."""
    good, bad = story(remote)
    repository = over_http(http, remote, tmp_path, token)
    commit = build(repository, good, bad)
    http.token = "rotated-token"
    with pytest.raises(RepositoryDenied):
        repository.fetch("main")
    token.write_text("rotated-token")
    assert repository.push(commit, "main", bad).result is PushResult.PUSHED
    assert remote.head() == commit.revision
    assert base64.b64decode(http.authorizations[-1].split()[1]) == b"x-access-token:rotated-token"


def test_the_user_name_of_url_and_settings(http: HttpGit, token: Path, remote: GitRemote, tmp_path: Path) -> None:
    """Who logs in comes from the settings, else from the URL."""
    story(remote)
    url = http.url(remote).replace("http://", "http://ann@")
    for credentials, user in (
        (GitCredentials(token_file=token), b"ann"),
        (GitCredentials(token_file=token, username="bot"), b"bot"),
    ):
        GitRepository(url, mirror_root=tmp_path / "mirrors", credentials=credentials).fetch("main")
        assert base64.b64decode(http.authorizations[-1].split()[1]).split(b":")[0] == user


@pytest.mark.parametrize("text", ["", "two\nlines", "with space", "ünicode", "\x00"])
def test_a_token_file_that_holds_no_token(
    http: HttpGit, remote: GitRemote, tmp_path: Path, token: Path, text: str
) -> None:
    """What is no single token is refused before anything is sent, naming the file."""
    token.write_text(text)
    with pytest.raises(RepositoryDenied, match="tokenFile"):
        over_http(http, remote, tmp_path, token).fetch("main")
    token.unlink()
    with pytest.raises(RepositoryDenied, match="tokenFile"):
        over_http(http, remote, tmp_path, token).fetch("main")
    assert http.requests == []


def test_no_credentials(http: HttpGit, remote: GitRemote, tmp_path: Path) -> None:
    """A server that wants a token and gets none: Denied, no prompt."""
    story(remote)
    with pytest.raises(RepositoryDenied):
        over_http(http, remote, tmp_path, None).fetch("main")


def test_a_token_never_shows(
    http: HttpGit, token: Path, remote: GitRemote, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever fails, neither the token nor its encoding is in a message, a log, a repr or the mirror (fault 27)."""
    good, bad = story(remote)
    caplog.set_level(logging.DEBUG)
    repository = over_http(http, remote, tmp_path, token, timeout=2.0)
    commit = build(repository, good, bad)
    encoded = base64.b64encode(f"x-access-token:{http.token}".encode()).decode()
    remote.hook("pre-receive", f"echo 'your token is {http.token} {encoded}' >&2; exit 1\n")
    said = [repr(repository), repr(repository.push(commit, "main", bad)), caplog.text]
    for fault in (Fault.UNAVAILABLE, Fault.PUSH_ERROR, Fault.REDIRECT, Fault.HANG):
        http.fault = fault
        for call in (lambda: repository.push(commit, "main", bad), lambda: repository.fetch("main")):
            try:
                said.append(repr(call()))
            except RepositoryError as error:
                said.append(str(error))
    text = "\n".join(said)
    assert http.token not in text
    assert encoded not in text
    assert not any(
        http.token.encode() in path.read_bytes() for path in (tmp_path / "mirrors").rglob("*") if path.is_file()
    )


def test_a_redirect_is_not_followed(http: HttpGit, token: Path, remote: GitRemote, tmp_path: Path) -> None:
    """The token goes to the configured host and nowhere else."""
    story(remote)
    with http_git(tmp_path / "served") as elsewhere:
        http.fault, http.elsewhere = Fault.REDIRECT, elsewhere.origin
        with pytest.raises(RepositoryUnavailable, match="redirects"):
            over_http(http, remote, tmp_path, token).fetch("main")
        assert elsewhere.requests == []


def test_a_server_that_is_down_or_hangs(http: HttpGit, token: Path, remote: GitRemote, tmp_path: Path) -> None:
    """503, silence and a closed port are Unavailable, each within the timeout (fault 10)."""
    good, bad = story(remote)
    repository = over_http(http, remote, tmp_path, token, timeout=1.5, clone_timeout=1.5)
    commit = build(repository, good, bad)
    http.fault = Fault.UNAVAILABLE
    with pytest.raises(RepositoryUnavailable):
        repository.fetch("main")
    with pytest.raises(RepositoryUnavailable):
        repository.push(commit, "main", bad)
    with pytest.raises(RepositoryUnavailable):
        repository.rollback_path("main")
    http.fault = Fault.HANG
    with pytest.raises(RepositoryUnavailable):
        repository.fetch("main")
    http.close()
    with pytest.raises(RepositoryUnavailable):
        repository.fetch("main")
    with pytest.raises(RepositoryUnavailable):
        repository.push(commit, "main", bad)


def test_a_reply_that_is_lost_after_acceptance(http: HttpGit, token: Path, remote: GitRemote, tmp_path: Path) -> None:
    """The server took the push and the answer was lost: Unclear; a look finds it, and pushing again adds none (fault 3)."""
    good, bad = story(remote)
    repository = over_http(http, remote, tmp_path, token)
    commit = build(repository, good, bad)
    http.fault = Fault.REPLY_LOST
    assert repository.push(commit, "main", bad).result is PushResult.UNCLEAR
    http.fault = Fault.NONE
    facts = repository.inspect(RestoreRequest("main", ("app",), good, bad, ours=(commit.revision,)))
    assert facts.ours_in_branch == (commit.revision,)
    assert facts.already_restored
    assert repository.push(commit, "main", bad).result is PushResult.PUSHED
    assert len(remote.log()) == 3


def test_a_token_that_goes_while_pushing(http: HttpGit, token: Path, remote: GitRemote, tmp_path: Path) -> None:
    """Once something was sent, no missing file turns the answer into an error."""
    good, bad = story(remote)
    repository = over_http(http, remote, tmp_path, token)
    commit = build(repository, good, bad)
    remote.hook("post-receive", f"rm {token}\n")
    assert repository.push(commit, "main", bad).result is PushResult.PUSHED
    assert not token.exists()


def test_an_error_in_the_middle_of_a_push(http: HttpGit, token: Path, remote: GitRemote, tmp_path: Path) -> None:
    """A 500 to the push itself is Unclear; a look shows that it did not arrive."""
    good, bad = story(remote)
    repository = over_http(http, remote, tmp_path, token)
    commit = build(repository, good, bad)
    http.fault = Fault.PUSH_ERROR
    assert repository.push(commit, "main", bad).result is PushResult.UNCLEAR
    http.fault = Fault.NONE
    assert repository.fetch("main") == bad
    assert repository.push(commit, "main", bad).result is PushResult.PUSHED


def test_a_push_that_hangs_is_unclear(remote: GitRemote, tmp_path: Path) -> None:
    """The server accepts and does not answer within the timeout: Unclear, and the branch may have moved (fault 6)."""
    good, bad = story(remote)
    repository = GitRepository(remote.url, mirror_root=tmp_path / "mirrors", timeout=2.0)
    commit = build(repository, good, bad)
    remote.hook("post-receive", "exec sleep 300 >/dev/null 2>&1\n")
    outcome = repository.push(commit, "main", bad)
    assert outcome.result is PushResult.UNCLEAR
    assert repository.fetch("main") == commit.revision
