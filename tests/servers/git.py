"""Real Git servers for tests: a bare repository with a builder of commits, behind ``file://``, a real sshd, or HTTP.

The HTTP server is ``git http-backend`` behind a small threaded server with token authentication, which can be told to
misbehave (``Fault``). Everything listens on 127.0.0.1, on free ports, and is stopped by ``close``.
"""

import base64
import contextlib
import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

AUTHOR = "Ann Author <ann@example.com>"
FIRST_DATE = 1_700_000_000

_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "LC_ALL": "C",
}


def run_git(*arguments: str, feed: bytes = b"", cwd: Path | None = None, **environment: str) -> bytes:
    """Run git as a person would, apart from this machine's configuration; raises with what it said."""
    done = subprocess.run(
        ["git", *arguments], input=feed, cwd=cwd, env=_ENVIRONMENT | environment, capture_output=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"git {arguments[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


@dataclass(frozen=True)
class Raw:
    """A file with a mode of its own: ``100755``, ``120000`` (a link, data is where to) or ``160000`` (data is an id)."""

    data: bytes
    mode: str


Content = str | bytes | Raw | None
"""What a path becomes; None deletes it."""


class GitRemote:
    """A bare repository, and commits made in it straight away (``git fast-import``, no work tree)."""

    def __init__(self, folder: Path, *, object_format: str = "sha1", branch: str = "main") -> None:
        self.folder = folder
        self.branch = branch
        run_git("init", "-q", "--bare", f"--initial-branch={branch}", f"--object-format={object_format}", str(folder))
        self._clock = FIRST_DATE

    @property
    def url(self) -> str:
        """The repository by ``file://``."""
        return f"file://{self.folder}"

    def commit(
        self,
        files: Mapping[str, Content],
        message: str = "Change things",
        *,
        branch: str | None = None,
        author: str = AUTHOR,
        trailers: Sequence[tuple[str, str]] = (),
        parents: Sequence[str] | None = None,
        at: int | None = None,
    ) -> str:
        """Commit on top of the branch (made if it is new), or on ``parents``; returns the commit's id.

        ``files`` are changes against the first parent. The branch is moved to the commit, whatever it was.
        """
        name = branch or self.branch
        if trailers:
            message += "\n\n" + "\n".join(f"{key}: {value}" for key, value in trailers)
        self._clock = at if at is not None else self._clock + 60
        if parents is None:
            tip = self.find(f"refs/heads/{name}")
            parents = [tip] if tip else []
        ref = "refs/heads/" + name
        text = message.encode()
        stream = [f"reset {ref}\n\n".encode(), f"commit {ref}\nmark :1\n".encode()]
        stream += [f"author {author} {self._clock} +0000\ncommitter {author} {self._clock} +0000\n".encode()]
        stream += [b"data %d\n%s\n" % (len(text), text)]
        stream += [f"{'merge' if n else 'from'} {parent}\n".encode() for n, parent in enumerate(parents)]
        for path, content in files.items():
            stream += _change(path, content)
        stream += [b"get-mark :1\n"]
        out = run_git(
            "fast-import", "--quiet", "--force", "--date-format=raw", feed=b"".join(stream), cwd=self.folder
        )
        return out.decode().split()[-1]

    def merge(self, other: str, files: Mapping[str, Content], message: str = "Merge", **more: Any) -> str:
        """A merge of a commit into the branch; ``files`` are what it changes against the branch."""
        return self.commit(files, message, parents=[self.head(more.get("branch")), other], **more)

    def head(self, branch: str | None = None) -> str:
        """The branch's head."""
        found = self.find(f"refs/heads/{branch or self.branch}")
        assert found, f"no branch {branch or self.branch}"
        return found

    def find(self, name: str) -> str:
        """The id of a name; empty where it does not exist."""
        with contextlib.suppress(AssertionError):
            return (
                run_git("rev-parse", "--verify", "--quiet", "--end-of-options", name, cwd=self.folder)
                .decode()
                .strip()
            )
        return ""

    def move(self, branch: str, revision: str) -> None:
        """Move a branch by force."""
        run_git("update-ref", f"refs/heads/{branch}", revision, cwd=self.folder)

    def tag(self, name: str, revision: str, *, annotated: bool = False) -> None:
        """Make or move a tag."""
        who = ("-c", "user.name=Ann Author", "-c", "user.email=ann@example.com")
        options = ("-a", "-m", "Release") if annotated else ()
        run_git(*who, "tag", "-f", *options, "--", name, revision, cwd=self.folder)

    def read(self, revision: str, path: str) -> bytes | None:
        """A file at a revision; None where it does not exist."""
        with contextlib.suppress(AssertionError):
            return run_git("cat-file", "blob", f"{revision}:{path}", cwd=self.folder)
        return None

    def files(self, revision: str | None = None) -> dict[str, bytes]:
        """All files at a revision (the head)."""
        listed = run_git("ls-tree", "-r", "-z", revision or self.head(), cwd=self.folder).split(b"\0")[:-1]
        found = {}
        for record in listed:
            head, _, path = record.partition(b"\t")
            mode, _, oid = head.decode().split()
            found[os.fsdecode(path)] = oid.encode() if mode == "160000" else self._blob(oid)
        return found

    def log(self, branch: str | None = None) -> list[str]:
        """The branch's commits, newest first."""
        return run_git("rev-list", self.head(branch), cwd=self.folder).decode().split()

    def configure(self, key: str, value: str) -> None:
        """Set a configuration value of the server's repository."""
        run_git("config", key, value, cwd=self.folder)

    def hook(self, name: str, script: str) -> None:
        """Install a server-side hook (a shell script's body)."""
        path = self.folder / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    def _blob(self, oid: str) -> bytes:
        return run_git("cat-file", "blob", oid, cwd=self.folder)


def _change(path: str, content: Content) -> list[bytes]:
    name = b'"' + os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
    if content is None:
        return [b"D " + name + b"\n"]
    raw = (
        content
        if isinstance(content, Raw)
        else Raw(content.encode() if isinstance(content, str) else content, "100644")
    )
    if raw.mode == "160000":
        return [b"M 160000 " + raw.data + b" " + name + b"\n"]
    return [b"M " + raw.mode.encode() + b" inline " + name + b"\n", b"data %d\n%s\n" % (len(raw.data), raw.data)]


# --- SSH ---------------------------------------------------------------------------------------------------------


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """A private key without passphrase; its public part is beside it (``.pub``)."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path


class SshServer:
    """A real sshd on a free port, run by the current user, with its own host key and one authorized key."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.key = make_key(folder / "client")
        host_key = make_key(folder / "host")
        self.known_hosts = folder / "known_hosts"
        host = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host}\n")
        (folder / "authorized").write_text(self.key.with_suffix(".pub").read_text())
        self._log = folder / "log"
        self._process = self._start(self._configuration(folder, host_key))
        self._wait()

    def url(self, remote: GitRemote) -> str:
        """The repository by ``ssh://``."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{remote.folder}"

    def close(self) -> None:
        """Stop it and every session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=10)

    def _configuration(self, folder: Path, host_key: Path) -> Path:
        path = folder / "sshd_config"
        path.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\n"
            f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nX11Forwarding no\nAllowTcpForwarding no\n"
            "MaxStartups 100\nUseDNS no\nPrintMotd no\nSetEnv GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null\n"
        )
        return path

    def _start(self, configuration: Path) -> subprocess.Popen[bytes]:
        program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if program is None:
            raise AssertionError("these tests need a real sshd: install openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [program, "-D", "-e", "-f", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  it only makes one system call
                start_new_session=True,
            )

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise AssertionError(f"sshd did not start: {self._log.read_text()[-500:]}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- HTTP --------------------------------------------------------------------------------------------------------


class Fault(StrEnum):
    """How the HTTP server misbehaves."""

    NONE = "none"
    UNAVAILABLE = "unavailable"
    """Answers 503 to everything."""
    HANG = "hang"
    """Takes the request and never answers."""
    REPLY_LOST = "reply lost"
    """Lets Git take the push, then closes the connection without a word."""
    PUSH_ERROR = "push error"
    """Answers 500 to the push itself, which Git never sees."""
    REDIRECT = "redirect"
    """Sends the client elsewhere (``elsewhere``)."""


@dataclass
class HttpGit:
    """``git http-backend`` for all repositories in a folder, behind basic authentication with a token."""

    root: Path
    token: str = "t0ken-of-the-canary"
    fault: Fault = Fault.NONE
    elsewhere: str = ""
    requests: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.socket.settimeout(1.0)  # a client that has gone again must not hold the loop up in accept
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def url(self, remote: GitRemote) -> str:
        """The repository by ``http://``."""
        return f"{self.origin}/{remote.folder.relative_to(self.root)}"

    def close(self) -> None:
        """Stop it; what hangs is let go."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


def _handler(git: HttpGit) -> type[BaseHTTPRequestHandler]:  # noqa: C901  the handler's methods
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self._body())

        def log_message(self, *_: object) -> None:
            return

        def _answer(self, body: bytes) -> None:
            git.requests.append(f"{self.command} {self.path}")
            is_push = self.command == "POST" and self.path.endswith("/git-receive-pack")
            if git.fault is Fault.UNAVAILABLE:
                self._plain(503)
            elif git.fault is Fault.REDIRECT:
                self._plain(302, Location=git.elsewhere + self.path)
            elif git.fault is Fault.HANG:
                git.released.wait(60)
            elif not self._authorized():
                self._plain(401, **{"WWW-Authenticate": 'Basic realm="git"'})
            elif is_push and git.fault is Fault.PUSH_ERROR:
                self._plain(500)
            else:
                self._backend(body, lose=is_push and git.fault is Fault.REPLY_LOST)

        def _authorized(self) -> bool:
            given = self.headers.get("Authorization", "")
            if given:
                git.authorizations.append(given)
            kind, _, encoded = given.partition(" ")
            if kind == "Bearer":
                return encoded == git.token
            return kind == "Basic" and base64.b64decode(encoded).decode().partition(":")[2] == git.token

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def _backend(self, body: bytes, *, lose: bool) -> None:
            path, _, query = self.path.partition("?")
            environment = {
                "GIT_PROJECT_ROOT": str(git.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "tester",
                "REMOTE_ADDR": "127.0.0.1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            said = run_git("http-backend", feed=body, **environment)
            if lose:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            head, _, rest = said.partition(b"\r\n\r\n")
            fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
            status = next((int(value.split()[0]) for key, value in fields if key == "Status"), 200)
            self.send_response(status)
            for key, value in fields:
                if key != "Status":
                    self.send_header(key, value)
            self._finish(rest)

        def _plain(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self._finish(b"")

        def _finish(self, body: bytes) -> None:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    return Handler


@contextlib.contextmanager
def http_git(root: Path, **options: Any) -> Iterator[HttpGit]:
    """An ``HttpGit`` for the length of a block."""
    server = HttpGit(root, **options)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """An ``SshServer`` for the length of a block."""
    server = SshServer(folder)
    try:
        yield server
    finally:
        server.close()
