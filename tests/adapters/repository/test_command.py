"""How Git is run: environment, arguments, time, output, and what failures are called."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from controller.adapters.repository import GitCredentials, GitRepository
from controller.adapters.repository.command import GitCommand
from controller.adapters.repository.failures import MirrorCorrupt, classify, gist, words
from controller.adapters.repository.process import Deadline
from controller.adapters.repository.remote import parse_remote
from controller.ports.repository import (
    RepositoryBroken,
    RepositoryDenied,
    RepositoryError,
    RepositoryUnavailable,
    RevisionUnknown,
)
from tests.servers.git import GitRemote


def command(url: str = "https://git.example.com/a", credentials: GitCredentials | None = None) -> GitCommand:
    return GitCommand(parse_remote(url), credentials, None)


@pytest.fixture
def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for a script that is found as ``git``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    script = folder / "git"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    return script


def test_nothing_of_our_environment_reaches_git(fake_git: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets, Git variables and loader variables of the process are taken out; ours are in."""
    for name in (
        "AWS_SECRET",
        "GIT_DIR",
        "GIT_SSH_COMMAND",
        "GIT_EXEC_PATH",
        "LD_LIBRARY_PATH",
        "GIT_CONFIG_PARAMETERS",
    ):
        monkeypatch.setenv(name, "/canary")
    fake_git.write_text("#!/bin/sh\nenv\n")
    said = command().run("status", deadline=Deadline(10)).out.decode()
    assert "canary" not in said
    seen = dict(line.partition("=")[::2] for line in said.splitlines())
    assert seen["GIT_CONFIG_NOSYSTEM"] == "1"
    assert seen["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert seen["GIT_TERMINAL_PROMPT"] == "0"
    assert seen["GIT_ALLOW_PROTOCOL"] == "https"
    assert "core.hooksPath" in seen.values()


def test_proxies_are_for_the_network_and_never_for_loopback(fake_git: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The administrator's proxy is used, except towards this machine."""
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    fake_git.write_text("#!/bin/sh\nenv\n")
    assert b"https_proxy=http://proxy" in command().run("x", deadline=Deadline(10)).out
    assert b"proxy" not in command("https://127.0.0.1:1/a").run("x", deadline=Deadline(10)).out


def test_a_token_is_in_no_argument_and_no_environment(fake_git: Path, tmp_path: Path) -> None:
    """Git is told where to ask for the token, and asks for its own host only."""
    (tmp_path / "token").write_text("canary-token\n")
    fake_git.write_text('#!/bin/sh\nenv\necho "$@"\ntr "\\0" " " </proc/$$/cmdline\n')
    said = command(credentials=GitCredentials(token_file=tmp_path / "token")).run(
        "fetch", deadline=Deadline(10), network=True
    )
    assert b"canary" not in said.out
    assert b"credential.https://git.example.com.helper" in said.out


def test_a_hanging_git_is_stopped_with_all_its_children(fake_git: Path, tmp_path: Path) -> None:
    """After the timeout nothing of the process group runs, and no zombie is left."""
    pids = tmp_path / "pids"
    fake_git.write_text(f"#!/bin/sh\ntrap '' TERM\nsleep 300 & echo $! $$ >{pids}\nwait\n")
    began = time.monotonic()
    with pytest.raises(RepositoryUnavailable, match="not done in time"):
        command().run("fetch", deadline=Deadline(0.5))
    assert time.monotonic() - began < 60
    for pid in map(int, pids.read_text().split()):
        assert _is_gone(pid), pid
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]


def test_a_git_that_closes_its_output_and_stays_is_stopped(fake_git: Path) -> None:
    """A process that says no more and does not end is stopped too."""
    fake_git.write_text("#!/bin/sh\nexec >&- 2>&-\nsleep 300\n")
    with pytest.raises(RepositoryUnavailable, match="not done in time"):
        command().run("fetch", deadline=Deadline(0.5))


def test_endless_output_is_bounded(fake_git: Path) -> None:
    """More than the limit is refused, without keeping it."""
    fake_git.write_text("#!/bin/sh\nexec yes\n")
    with pytest.raises(RepositoryBroken, match="more than 100000 bytes"):
        command().run("log", deadline=Deadline(20), limit=100_000)


def test_endless_complaints_are_bounded(fake_git: Path) -> None:
    """Standard error is cut and does not block the process."""
    fake_git.write_text("#!/bin/sh\nyes complaint | head -c 2000000 >&2\nexit 3\n")
    with pytest.raises(RepositoryError) as error:
        command().run("log", deadline=Deadline(20))
    assert len(str(error.value)) <= 300


def test_much_is_fed_and_read_at_once(fake_git: Path) -> None:
    """Feeding more than a pipe holds does not deadlock."""
    fake_git.write_text("#!/bin/sh\nexec cat\n")
    body = os.urandom(1 << 20)
    assert command().run("cat-file", deadline=Deadline(20), feed=body).out == body


def test_a_git_that_does_not_read_is_no_trouble(fake_git: Path) -> None:
    """A closed pipe ends the feeding quietly."""
    fake_git.write_text("#!/bin/sh\nexit 0\n")
    assert command().run("cat-file", deadline=Deadline(20), feed=b"x" * (1 << 20)).code == 0


def test_an_old_git_is_refused(fake_git: Path, tmp_path: Path) -> None:
    """A Git without ``merge-tree --write-tree`` is told by its version."""
    fake_git.write_text("#!/bin/sh\necho git version 2.30.1\n")
    with pytest.raises(RepositoryBroken, match=r"2\.38 or newer"):
        GitRepository("/srv/x", mirror_root=tmp_path / "mirrors").fetch("main")


def test_a_missing_git_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No ``git`` at all is RepositoryBroken, not a stack trace."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RepositoryBroken):
        command().run("version", deadline=Deadline(5))


@pytest.mark.parametrize(
    ("said", "network", "kind"),
    [
        ("fatal: unable to access 'https://h/': Could not resolve host: h", True, RepositoryUnavailable),
        (
            "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.",
            True,
            RepositoryUnavailable,
        ),
        ("fatal: Authentication failed for 'https://h/p'", True, RepositoryDenied),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", True, RepositoryDenied),
        ("git@h: Permission denied (publickey).", True, RepositoryDenied),
        ("Host key verification failed.", True, RepositoryDenied),
        ("fatal: unable to access 'https://h/p/': The requested URL returned error: 403", True, RepositoryDenied),
        (
            "fatal: unable to access 'https://h/p/': The requested URL returned error: 503",
            True,
            RepositoryUnavailable,
        ),
        ("ERROR: The key you are authenticating with has been marked as read only.", True, RepositoryDenied),
        ("fatal: couldn't find remote ref refs/heads/x", True, RevisionUnknown),
        ("fatal: remote error: upload-pack: not our ref 1234", True, RevisionUnknown),
        ("fatal: not a valid object name: 'x'", False, RevisionUnknown),
        ("fatal: write error: No space left on device", False, RepositoryBroken),
        (
            "error: file write error: No space left on device\nfatal: fetch-pack: invalid index-pack output",
            True,
            RepositoryBroken,
        ),
        (
            "remote: error: No space left on device\nfatal: the remote end hung up unexpectedly",
            True,
            RepositoryUnavailable,
        ),
        ("fatal: loose object 12 (stored in ./objects/1/2) is corrupt", False, MirrorCorrupt),
        ("error: object file ./objects/12/34 is empty", False, MirrorCorrupt),
        ("fatal: not a git repository: '/m'", False, MirrorCorrupt),
        ("fatal: bad object refs/rollguard/heads/x", True, MirrorCorrupt),
        ("something else", True, RepositoryUnavailable),
        ("something else", False, RepositoryBroken),
    ],
)
def test_what_git_says_is_classified(said: str, network: bool, kind: type[RepositoryError]) -> None:
    """Git's words map to the port's tree; the server's full disk is not ours."""
    assert type(classify(said, network=network, shown=said)) is kind


def test_messages_show_no_secret() -> None:
    """Secrets that are known, logins in URLs and Authorization headers are replaced; one line, cut."""
    said = "fatal: https://ann:hunter2@h/p Authorization: Basic abcdef== t0ken\x1b[31m\nnext" + "x" * 999
    shown = words(said, ["t0ken"])
    assert not any(secret in shown for secret in ("hunter2", "abcdef", "t0ken", "\n", "\x1b"))
    assert len(shown) <= 240
    assert gist("hint: x\nfatal: y\n") == "fatal: y"


def test_our_own_repository_is_never_asked(
    remote: GitRemote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration in the environment and in the user's home changes nothing of what Git does."""
    remote.commit({"a": "1"})
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "{tmp_path}/nowhere"]\n\tinsteadOf = file://\n[core]\n\tpager = false\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{tmp_path}/nowhere.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "file://")
    assert GitRepository(remote.url, mirror_root=tmp_path / "m").fetch("main") == remote.head()


def test_a_stopped_process_is_killed_too(fake_git: Path) -> None:
    """Even a process that is frozen by SIGSTOP ends at the deadline."""
    fake_git.write_text(f"#!/bin/sh\nkill -{signal.SIGSTOP.value} $$\n")
    with pytest.raises(RepositoryUnavailable):
        command().run("fetch", deadline=Deadline(0.3))


def _is_gone(pid: int, within: float = 10.0) -> bool:
    """Whether a process that was killed is gone, or waits to be reaped; the kernel may take a moment for it."""
    try:
        process = psutil.Process(pid)
        if _is_another(process) or process.status() == psutil.STATUS_ZOMBIE:
            return True
        process.wait(within)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def _is_another(process: psutil.Process) -> bool:
    """Whether it is another process that was given the same number since."""
    return "sleep" not in process.name() and "sh" not in process.name() and "git" not in process.name()
