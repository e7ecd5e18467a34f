"""A real image registry (Debian's docker-registry) on a free loopback port, for tests.

    with DockerRegistry(tmp_path, login=Login.TOKEN) as registry:
        digest = registry.push("shop/checkout", image(labels={...}), tag="v1.2.3")

Invariant: it listens on 127.0.0.1 only, keeps all its files in the folder it was given, and dies with the test process.
``TokenServer`` is a small real server of tokens for it: it checks a password and signs what the user may do.
"""

import base64
import datetime as dt
import http.client
import json
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from enum import StrEnum
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.demo.images import Image, push
from tests.servers.receiver import Receiver, answer, free_port

USER = "robot"
PASSWORD = "a-password-of-tests"
HTPASSWD = f"{USER}:$2y$04$abcdefghijklmnopqrstuucKJOEvPnzX7hbkQfvea7hHMGL5FqfMS\n"
"""The password by bcrypt, with the least cost."""
SERVICE = "registry.test"
ISSUER = "tokens.test"
_SETPRIV = shutil.which("setpriv")
_WITH_PARENT = [_SETPRIV, "--pdeathsig", "KILL"] if _SETPRIV else []


class Login(StrEnum):
    """What a registry asks for."""

    NONE = "none"
    BASIC = "basic"
    TOKEN = "token"


class DockerRegistry:
    """A running registry; use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        login: Login = Login.NONE,
        *,
        certificate: Path | None = None,
        notify: str = "",
        notify_as: str = "",
    ) -> None:
        """``certificate`` (PEM, with its key) lets it speak TLS.

        ``notify`` is a URL that it posts its events to, with ``notify_as`` as its Authorization header.
        """
        self._folder = folder / "registry"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.login = login
        self._certificate = certificate
        self._notify = notify
        self._notify_as = notify_as
        self._process: subprocess.Popen[bytes] | None = None
        self.tokens = TokenServer(self._folder) if login is Login.TOKEN else None
        self.port = 0

    @property
    def host(self) -> str:
        """As images name it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        if self.tokens is not None:
            self.tokens.receiver.__enter__()
        for _ in range(5):
            self.port = free_port()
            self._process = self._spawn()
            if self._ready():
                return self
            self._stop()
        raise RuntimeError(f"docker-registry did not start: {(self._folder / 'log').read_text()[-2000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if self.tokens is not None:
            self.tokens.receiver.__exit__(kind, error, trace)

    def restart(self) -> None:
        """End the process and start another one, with the same storage and port."""
        self._stop()
        self._process = self._spawn()
        assert self._ready(), (self._folder / "log").read_text()[-2000:]

    def push(self, path: str, pushed: Image, tag: str = "") -> str:
        """Push an image with all that belongs to it; without a tag by its digest alone. Returns the digest."""
        return push(
            lambda method, target, body, type_: self._asked(method, target, path, body, type_=type_).getheader(
                "Location", ""
            ),
            path,
            pushed,
            tag,
        )

    def delete(self, path: str, digest: str) -> None:
        """Delete an image, and so each tag of it."""
        self._asked("DELETE", f"/v2/{path}/manifests/{digest}", path)

    def _asked(
        self, method: str, target: str, path: str, body: bytes = b"", type_: str = ""
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Content-Type": type_} if type_ else {}
            if self.login is Login.BASIC:
                headers["Authorization"] = basic(USER, PASSWORD)
            elif self.tokens is not None:
                headers["Authorization"] = f"Bearer {self.tokens.sign(path, ('pull', 'push', 'delete'))}"
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            said = response.read().decode(errors="replace")
        finally:
            connection.close()
        if response.status not in (200, 201, 202):
            raise RuntimeError(f"{method} {target}: {response.status} {said[:500]}")
        return response

    def _configuration(self) -> dict[str, Any]:
        serving: dict[str, Any] = {"addr": self.host, "secret": "of tests"}
        if self._certificate is not None:
            serving["tls"] = {"certificate": str(self._certificate), "key": str(self._certificate)}
        made: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(self._folder / "storage")},
                "delete": {"enabled": True},
            },
            "http": serving,
        }
        if self.login is Login.BASIC:
            (self._folder / "htpasswd").write_text(HTPASSWD)
            made["auth"] = {"htpasswd": {"realm": "tests", "path": str(self._folder / "htpasswd")}}
        elif self.tokens is not None:
            made["auth"] = {"token": self.tokens.declared()}
        if self._notify:
            endpoint: dict[str, Any] = {"name": "test", "url": self._notify, "timeout": "5s", "threshold": 3}
            endpoint |= {"backoff": "1s", "headers": {"Authorization": [self._notify_as]} if self._notify_as else {}}
            made["notifications"] = {"endpoints": [endpoint]}
        return made

    def _spawn(self) -> subprocess.Popen[bytes]:
        binary = shutil.which("docker-registry")
        if binary is None:
            raise RuntimeError("docker-registry is not on PATH: install the distribution's package docker-registry")
        # YAML has JSON in it.
        (self._folder / "config.yml").write_text(json.dumps(self._configuration()))
        with (self._folder / "log").open("ab") as log:
            command = [*_WITH_PARENT, binary, "serve", str(self._folder / "config.yml")]
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"HOME": "/"})

    def _ready(self) -> bool:
        process = self._process
        deadline = time.monotonic() + 60
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/v2/")
                return connection.getresponse().status in (200, 400, 401)  # 400: it wants TLS
            except OSError:
                time.sleep(0.05)
            finally:
                connection.close()
        return False

    def _stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None


class TokenServer:
    """Gives tokens of one registry to whoever knows the password; ``anonymous`` to everybody."""

    def __init__(self, folder: Path, life: int = 300) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _certified(self._key)
        self._bundle = folder / "tokens.pem"
        self._bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.life = life
        self.anonymous = False
        self.scopes: list[str] = []
        """What was asked for."""
        self.receiver = Receiver(self._answer)

    def declared(self) -> dict[str, str]:
        """What the registry must know of it."""
        realm = f"{self.receiver.url}/token"
        return {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(self._bundle)}

    def sign(self, path: str, actions: Sequence[str]) -> str:
        """A token for some actions on a repository."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": USER,
            "aud": SERVICE,
            "exp": now + self.life,
            "nbf": now - 10,
            "iat": now,
            "jti": uuid.uuid4().hex,
            "access": [{"type": "repository", "name": path, "actions": list(actions)}],
        }
        chain = [base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()]
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"x5c": chain})

    def _answer(self, handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        sent = receiver.requests[-1]
        query = parse_qs(urlsplit(sent.path).query)
        known = sent.headers.get("authorization") == basic(USER, PASSWORD)
        self.scopes += query.get("scope", [])
        kind, _, rest = query.get("scope", ["::"])[0].partition(":")
        path, _, actions = rest.rpartition(":")
        if query.get("service") != [SERVICE] or kind != "repository":
            answer(400, b'{"details": "bad request"}')(handler, receiver)
        elif not known and not self.anonymous:
            answer(401, b'{"details": "incorrect username or password"}')(handler, receiver)
        else:
            said = {"token": self.sign(path, actions.split(",")), "expires_in": self.life}
            answer(200, json.dumps(said).encode())(handler, receiver)


def basic(user: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _certified(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(2))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256())
