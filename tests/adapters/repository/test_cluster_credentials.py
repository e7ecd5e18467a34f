"""Credentials out of Argo CD's Secrets: read when they are due, used by Git and ssh, and shown nowhere."""

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from controller.adapters.kubernetes.errors import ApiDenied, ApiUnavailable
from controller.adapters.kubernetes.resources import SECRETS
from controller.adapters.repository import GitRepository
from controller.adapters.repository.cluster_credentials import ClusterCredentials
from controller.adapters.repository.cluster_secrets import CERTIFICATES, HOLDS, KNOWN_HOSTS, ClusterSecrets
from controller.adapters.repository.private_files import PrivateFiles
from controller.core.git import RollbackPath
from controller.ports.repository import RepositoryDenied, RepositoryUnavailable
from tests.fakes.cluster_objects import ClusterObjects
from tests.fakes.manual_clock import ManualClock
from tests.servers.git import GitRemote, HttpGit, http_git, ssh_server
from tests.servers.github import APP, INSTALLATION, GithubApi, make_app_key
from tests.servers.receiver import Receiver, answer

URL = "https://git.example.com/shop/manifests.git"


class Desk:
    """Secrets that are read for a test, and what is made of them."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.objects = ClusterObjects()
        self.clock = ManualClock()
        self.seen: list[str] = []
        self.secrets = ClusterSecrets(
            self.objects,  # type: ignore[arg-type]
            "argocd",
            names or ("one",),
            self.clock,
            seen=self.seen.append,
        )
        self.files = PrivateFiles(folder / "credentials")

    def of(self, url: str) -> ClusterCredentials:
        return ClusterCredentials(url, self.secrets, self.files, self.clock)

    def repository(self, url: str) -> GitRepository:
        return GitRepository(url, mirror_root=self.folder / "mirrors", credentials=self.of(url))

    def why(self, url: str) -> str:
        with pytest.raises(RepositoryDenied) as caught:
            self.of(url).current()
        return str(caught.value)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def http(tmp_path: Path) -> Iterator[HttpGit]:
    with http_git(tmp_path / "served") as server:
        yield server


def test_git_logs_in_by_a_repositorys_secret(desk: Desk, http: HttpGit, remote: GitRemote) -> None:
    """A fetch and a dry run of a push with the Secret's name and password; both are told to the logs' mask."""
    head = remote.commit({"a": "1"})
    desk.objects.secret("one", url=http.url(remote), username="bot", password=http.token)
    assert desk.repository(http.url(remote)).fetch("main") == head
    assert base64.b64decode(http.authorizations[-1].split()[1]).decode() == f"bot:{http.token}"
    assert desk.seen == [http.token]
    assert desk.objects.asked[0] == "secrets/argocd/one"


def test_git_logs_in_by_a_bearer_token(desk: Desk, http: HttpGit, remote: GitRemote) -> None:
    """As some servers want it; the token is in a private file and in no argument or environment."""
    head = remote.commit({"a": "1"})
    desk.objects.secret("one", url=http.url(remote), bearerToken=http.token)
    assert desk.repository(http.url(remote)).fetch("main") == head
    assert http.authorizations[-1] == f"Bearer {http.token}"
    http.token = "another"
    with pytest.raises(RepositoryDenied) as caught:
        desk.repository(http.url(remote)).fetch("main")
    assert "t0ken" not in str(caught.value)


def test_git_goes_through_the_secrets_proxy(desk: Desk) -> None:
    """The proxy gets the request with its own password, and the error that it makes shows neither."""
    url = "http://git.example.com/shop/manifests.git"
    with Receiver(answer(502, b"no")) as proxy:
        way = f"http://carrier:canary-proxy@127.0.0.1:{proxy.port}"
        desk.objects.secret("one", url=url, password="canary-password", proxy=way, noProxy="localhost,.internal")
        with pytest.raises(RepositoryUnavailable) as caught:
            desk.repository(url).fetch("main")
    assert proxy.requests[0].path.startswith(url)
    assert "canary" not in str(caught.value)
    assert desk.of(url).current().no_proxy == "localhost,.internal"


def test_ssh_logs_in_by_the_secrets_key_and_argo_cds_known_hosts(
    desk: Desk, remote: GitRemote, tmp_path: Path
) -> None:
    """Through a real sshd; a host that the ConfigMap does not have is refused."""
    head = remote.commit({"a": "1"})
    with ssh_server(tmp_path / "sshd") as ssh:
        desk.objects.secret("one", url=ssh.url(remote), sshPrivateKey=ssh.key.read_text())
        desk.objects.config_map(KNOWN_HOSTS, {"ssh_known_hosts": ssh.known_hosts.read_text()})
        assert desk.repository(ssh.url(remote)).fetch("main") == head
        desk.objects.config_map(KNOWN_HOSTS, {"ssh_known_hosts": "elsewhere ssh-ed25519 AAAA"})
        desk.clock.advance(HOLDS)
        with pytest.raises(RepositoryDenied):
            desk.repository(ssh.url(remote)).fetch("main")
        desk.objects.found.pop(KNOWN_HOSTS)
        desk.clock.advance(HOLDS)
        assert KNOWN_HOSTS in desk.why(ssh.url(remote))


def test_the_authority_of_a_host_is_argo_cds(desk: Desk) -> None:
    """By host without port, as Argo CD keeps them; another host has the system's."""
    desk.objects.secret("one", "repo-creds", url="https://git.example.com:8443", password="pw")
    desk.objects.secret("two", "repo-creds", url="https://other.example.com", password="pw")
    desk.objects.config_map(CERTIFICATES, {"git.example.com": "PEM"})
    made = Desk(desk.folder, "one", "two")
    made.objects = desk.objects
    made.secrets = ClusterSecrets(desk.objects, "argocd", ("one", "two"), desk.clock)  # type: ignore[arg-type]
    found = made.of("https://git.example.com:8443/shop/manifests").current()
    assert found.ca_file is not None
    assert found.ca_file.read_text() == "PEM"
    assert made.of("https://other.example.com/a/b").current().ca_file is None


def test_what_is_written_is_its_owners_alone(desk: Desk) -> None:
    """Files 0600 in a folder 0700; nothing of the URL is in a name; a new secret takes the file's place."""
    desk.objects.secret(
        "one", url=URL, password="pw-1", tlsClientCertData="CERT", tlsClientCertKey="KEY", proxy="http://127.0.0.1:1"
    )
    found = desk.of(URL).current()
    files = [found.token_file, found.client_cert_file, found.client_key_file, found.config_file]
    for path in files:
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert "example" not in path.name
    desk.objects.secret("one", url=URL, password="pw-2")
    desk.clock.advance(HOLDS)
    renewed = desk.of(URL).current()
    assert renewed.token_file == found.token_file
    assert renewed.token_file is not None
    assert renewed.token_file.read_text() == "pw-2"


def test_files_of_a_process_that_is_gone_are_taken_away(tmp_path: Path) -> None:
    """What a killed process left goes when the next one writes; a living one's stays, and our own go with us."""
    gone, living = tmp_path / "credentials-999999999", tmp_path / f"credentials-{os.getppid()}"
    for folder in (gone, living):
        folder.mkdir()
        (folder / "secret").write_text("x")
    files = PrivateFiles(tmp_path)
    ours = files.write("someone", "token", b"x")
    assert (gone.exists(), living.exists(), ours.exists()) == (False, True, True)
    del files
    assert not ours.exists()


def test_secrets_are_read_one_by_one_and_seldom(desk: Desk) -> None:
    """By ``get`` of the named ones; again after some minutes, whatever the number of repositories that ask."""
    desk.objects.secret("one", "repo-creds", url="https://git.example.com", password="pw")
    for number in range(20):
        desk.of(f"https://git.example.com/shop/{number}").current()
    desk.clock.advance(HOLDS - 1)
    desk.of(URL).current()
    assert desk.objects.reads("one") == 1
    desk.clock.advance(1)
    desk.of(URL).current()
    assert desk.objects.reads("one") == 2
    assert {each.rpartition("/")[2] for each in desk.objects.asked} == {"one", CERTIFICATES, KNOWN_HOSTS}


def test_a_rotated_secret_counts_when_the_old_one_is_refused(desk: Desk, http: HttpGit, remote: GitRemote) -> None:
    """The server refuses: the Secret is read again, and the same call goes through; where it is the same, it fails."""
    remote.commit({"a": "1"})
    url = http.url(remote)
    desk.objects.secret("one", url=url, password=http.token)
    repository = desk.repository(url)
    repository.fetch("main")
    http.token = "rotated-token"
    desk.objects.secret("one", url=url, password="rotated-token")
    desk.clock.advance(10)
    assert repository.rollback_path("main") is RollbackPath.PUSH
    http.token = "rotated-again"
    for _ in range(3):
        with pytest.raises(RepositoryDenied):
            repository.fetch("main")
    assert desk.objects.reads("one") == 2
    desk.clock.advance(10)
    with pytest.raises(RepositoryDenied):
        repository.fetch("main")
    assert desk.objects.reads("one") == 3


def test_an_api_server_that_is_away_leaves_the_secrets_as_they_were(desk: Desk) -> None:
    """Read before: they go on; never read: unavailable, and the others are not asked for."""
    desk.objects.secret("one", url=URL, password="pw")
    desk.of(URL).current()
    desk.objects.fails = {"one": ApiUnavailable("503: overloaded")}
    desk.clock.advance(HOLDS)
    with capture_logs() as logs:
        assert desk.of(URL).current().token_file is not None
    assert [line["log_level"] for line in logs] == ["warning"]
    fresh = Desk(desk.folder, "one", "two")
    fresh.objects.fails = desk.objects.fails
    with pytest.raises(RepositoryUnavailable, match="overloaded"):
        fresh.of(URL).current()
    assert fresh.objects.reads("two") == 0


def test_a_secret_that_is_gone_or_forbidden_is_forgotten_and_said_once(desk: Desk) -> None:
    """Its password is used no more; who asks is told which Secret it is, and the log has it once."""
    desk.objects.secret("one", url=URL, password="pw")
    desk.of(URL).current()
    desk.objects.fails = {"one": ApiDenied("403: forbidden")}
    with capture_logs() as logs:
        for _ in range(3):
            desk.clock.advance(HOLDS)
            found = desk.of(URL).current()
    assert found.token_file is None
    assert "argocd/one may not be read" in found.hint
    assert len(logs) == 1


@pytest.mark.parametrize(
    ("url", "data", "said"),
    [
        (URL, {"insecure": "true", "password": "canary"}, "certificate"),
        ("ssh://git@h/a/b", {"insecureIgnoreHostKey": "true", "sshPrivateKey": "canary"}, "host key"),
        ("ssh://git@h/a/b", {"sshPrivateKey": "canary", "proxy": "http://canary"}, "proxy"),
        ("ssh://git@h/a/b", {"password": "canary"}, "sshPrivateKey"),
        (URL, {"sshPrivateKey": "canary"}, "only a key"),
        (URL, {"type": "helm", "password": "canary"}, "type is not git"),
        (URL, {"type": "canary", "password": "canary"}, "type is not git"),
        (URL, {"password": "canary", "bearerToken": "canary"}, "several"),
        (URL, {"password": "canary with spaces"}, "space"),
        (URL, {"bearerToken": 'canary"\n[core]\n\tsshCommand = canary'}, "bearerToken"),
        (URL, {"password": "canary", "proxy": 'http://h"\n[core]\n\tcanary = 1'}, "proxy"),
        (URL, {"password": "canary", "proxy": "ext::canary"}, "proxy"),
        (URL, {"password": "canary", "noProxy": "a\nb"}, "noProxy"),
        (URL, {"tlsClientCertData": "canary"}, "both"),
        (
            URL,
            {
                "githubAppPrivateKey": "canary",
                "githubAppID": "1",
                "githubAppInstallationID": "2",
                "githubAppEnterpriseBaseUrl": "file:///canary",
            },
            "githubAppEnterpriseBaseUrl",
        ),
    ],
)
def test_what_is_less_safe_or_makes_no_sense_is_refused(
    desk: Desk, url: str, data: dict[str, str], said: str
) -> None:
    """One clear sentence that names the Secret and repeats no value; nothing of it is written to a file."""
    desk.objects.secret("one", url=url, **data)
    desk.objects.config_map(KNOWN_HOSTS, {"ssh_known_hosts": "h ssh-ed25519 AAAA"})
    why = desk.why(url)
    assert why.startswith("Secret one of Argo CD cannot be used: ")
    assert said in why
    assert "canary" not in why
    assert not list((desk.folder / "credentials").glob("*/*"))


def test_a_repository_without_a_secret_is_read_by_everybody_or_not_at_all(
    desk: Desk, http: HttpGit, remote: GitRemote
) -> None:
    """A public one can be read; a private one is refused with what is missing, over SSH without a try."""
    remote.commit({"a": "1"})
    desk.objects.secret("one", url="https://elsewhere.example.com/a/b", password="pw")
    with pytest.raises(RepositoryDenied) as caught:
        desk.repository(http.url(remote)).fetch("main")
    assert str(caught.value).startswith("no credentials are set for this repository")
    with pytest.raises(RepositoryDenied, match="no credentials are set"):
        desk.repository("git@127.0.0.1:a/b.git").fetch("main")
    assert desk.repository(remote.url).fetch("main")


def test_a_secrets_github_app_has_its_tokens_minted(desk: Desk) -> None:
    """By the same rules as an App of the settings; the tokens last over reads of the Secret."""
    private, public = make_app_key()
    github = GithubApi(public, desk.clock.now, ["ghs_first", "ghs_second"])
    with Receiver(github) as api:
        desk.objects.secret(
            "one",
            "repo-write-creds",
            url="https://git.example.com",
            githubAppID=APP,
            githubAppInstallationID=INSTALLATION,
            githubAppPrivateKey=private,
            githubAppEnterpriseBaseUrl=api.url,
        )
        credentials = desk.of(URL)
        for _ in range(3):
            path = credentials.current().token_file
            assert path is not None
            assert path.read_text() == "ghs_first"
            desk.clock.advance(HOLDS)
        assert github.minted == 1
        assert desk.objects.reads("one") == 3
        assert credentials.renewed()
        credentials.current()
        assert path.read_text() == "ghs_second"


def test_a_read_names_one_object_each_time(desk: Desk) -> None:
    """Names that are given twice are read once; nothing is listed."""
    made = Desk(desk.folder, "one", "one")
    made.objects.secret("one", url=URL, password="pw")
    made.of(URL).current()
    assert made.objects.asked.count(f"{SECRETS.plural}/argocd/one") == 1
