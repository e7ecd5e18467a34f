"""A real Gitea for the demo: found, started on a free loopback port, with people, repositories and a webhook.

Invariant: its database, repositories and log lie in the demo's folder; whoever acts in it does so with a token of their own.
"""

import base64
import http.client
import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.demo.processes import Child, DemoError, clean_environment, start
from controller.demo.programs import cache_of, found
from controller.demo.serving import serve

OWNER = "shop"
"""The account that the repositories belong to, and that administers the forge."""
TIMEOUT = 30.0
EVENTS = ("push", "create", "pull_request", "pull_request_sync", "pull_request_review", "status")

MISSING = (
    "Gitea is neither on PATH nor in {cache}: run `make demo-pipeline`, which builds it there once (it needs go and a C "
    "compiler), or put the program that https://dl.gitea.com has for this machine on PATH as gitea."
)


@dataclass(frozen=True, slots=True)
class GiteaProgram:
    """What is run."""

    path: str
    static: Path | None
    """Its templates and translations; None: they are in the program."""


@dataclass(frozen=True, slots=True)
class Person:
    """An account."""

    login: str
    name: str
    password: str
    token: str

    @property
    def email(self) -> str:
        """By which Gitea knows whose a commit is."""
        return email_of(self.login)


def email_of(login: str) -> str:
    """An account's address."""
    return f"{login}@example.com"


def find_gitea(environment: Mapping[str, str] = os.environ) -> GiteaProgram:
    """The program: from PATH, else the newest that was built into the cache.

    Raises:
        DemoError: there is none.
    """
    cache = cache_of(environment)
    built = sorted(cache.glob("cluster/gitea/*/bin/gitea"), key=lambda each: each.stat().st_mtime)
    path = found("gitea", environment) or (str(built[-1]) if built else None)
    if path is None:
        raise DemoError(MISSING.format(cache=cache))
    static = Path(path).resolve().parents[1] / "share" / "static"
    return GiteaProgram(path, static if static.is_dir() else None)


def start_gitea(program: GiteaProgram, folder: Path, wait: Callable[[float], None]) -> "Gitea":
    """Start it in ``folder``, wait until it answers, and make its owner.

    Raises:
        DemoError: it does not start; the text has the end of its log.
    """
    folder.mkdir()
    file = folder / "app.ini"
    command = [program.path, f"--config={file}", f"--work-path={folder}"]
    environment = clean_environment(
        GITEA_WORK_DIR=str(folder), HOME=str(folder), GIT_CONFIG_NOSYSTEM="1", USER=os.environ.get("USER", "root")
    )

    def begin(address: str) -> Child:
        file.touch(mode=0o600)
        file.write_text(configuration(address, folder, program.static))
        return start("Gitea", [*command, "web"], folder / "gitea.log", folder=folder, environment=environment)

    child, address = serve(f"Gitea ({program.path})", begin, "/api/healthz", wait)
    return Gitea(child, address, lambda *arguments: _administer([*command, "admin", *arguments], environment))


def _administer(command: list[str], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, start_new_session=True, check=False
        )
    except subprocess.TimeoutExpired:
        raise DemoError(
            "gitea admin took longer than a minute: this machine is too busy just now; try again"
        ) from None
    if done.returncode:
        raise DemoError(f"gitea admin failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


class Gitea:
    """A running Gitea."""

    def __init__(self, child: Child, address: str, administer: Callable[..., str]) -> None:
        """``administer`` runs ``gitea admin``."""
        self.child = child
        self.address = address
        self.owner = self._first(administer)

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://{self.address}"

    def _first(self, administer: Callable[..., str]) -> Person:
        password = secrets.token_hex(8)
        said = administer(
            "user", "create", "--admin", f"--username={OWNER}", f"--password={password}",
            f"--email={email_of(OWNER)}", "--must-change-password=false", "--access-token",
            "--access-token-name=demo", "--access-token-scopes=all",
        )  # fmt: skip
        token = next((each for each in said.split() if len(each) == 40), "")  # noqa: PLR2004  a token's length
        if not token:
            raise DemoError("gitea admin gave no token for its first account")
        return Person(OWNER, "The shop", password, token)

    def add(self, login: str, name: str, scopes: Iterable[str] = ("all",)) -> Person:
        """Make an account, and a token that may do what ``scopes`` say."""
        password = f"{login}-{secrets.token_hex(4)}"
        body = {
            "username": login,
            "full_name": name,
            "email": email_of(login),
            "password": password,
            "must_change_password": False,
        }
        self.ask("POST", "/admin/users", body)
        basic = base64.b64encode(f"{login}:{password}".encode()).decode()
        asked = {"name": "demo", "scopes": list(scopes)}
        said = self._ask("POST", f"/users/{login}/tokens", asked, f"Basic {basic}")
        return Person(login, name, password, str(said["sha1"]))

    def add_repository(self, name: str, people: Iterable[Person]) -> str:
        """Make an empty repository of the owner's that these may write; returns its URL."""
        self.ask("POST", "/user/repos", {"name": name, "default_branch": "main", "auto_init": False})
        for each in people:
            self.ask("PUT", f"/repos/{OWNER}/{name}/collaborators/{each.login}", {"permission": "write"})
        return f"{self.url}/{OWNER}/{name}.git"

    def add_hook(self, repository: str, url: str, secret: str) -> None:
        """Have it tell somebody what happens in a repository."""
        config = {"url": url, "content_type": "json", "secret": secret}
        body = {"type": "gitea", "active": True, "events": list(EVENTS), "config": config}
        self.ask("POST", f"/repos/{OWNER}/{repository}/hooks", body)

    def clone_url(self, repository: str, person: Person) -> str:
        """A repository's URL with a person's token in it."""
        return f"http://{person.login}:{person.token}@{self.address}/{OWNER}/{repository}.git"

    def ask(self, method: str, path: str, body: Any = None, person: Person | None = None) -> Any:
        """Ask its API (``path`` is without ``/api/v1``) as a person, the owner if none is named.

        Raises:
            DemoError: it refused.
        """
        return self._ask(method, path, body, f"token {(person or self.owner).token}")

    def text(self, path: str, person: Person) -> str:
        """What its API answers at a path, as text.

        Raises:
            DemoError: it refused.
        """
        return self._sent("GET", path, None, f"token {person.token}").decode(errors="replace")

    def _ask(self, method: str, path: str, body: Any, authorization: str) -> Any:
        text = self._sent(method, path, body, authorization)
        return json.loads(text) if text else None

    def _sent(self, method: str, path: str, body: Any, authorization: str) -> bytes:
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT)
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        try:
            connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise DemoError(f"Gitea does not answer {method} {path}: {error}") from None
        finally:
            connection.close()
        if response.status >= 300:  # noqa: PLR2004
            raise DemoError(f"Gitea refused {method} {path}: {response.status} {text.decode(errors='replace')[:300]}")
        return text


def configuration(address: str, folder: Path, static: Path | None) -> str:
    """What Gitea reads: everything on loopback and in ``folder``, nobody can register, nothing asks the world."""
    port = address.rpartition(":")[2]
    files = "" if static is None else f"STATIC_ROOT_PATH = {static}\n"
    return _CONFIGURATION.format(
        address=address,
        port=port,
        folder=folder,
        static=files,
        key=secrets.token_hex(32),
        token=secrets.token_hex(32),
    )


_CONFIGURATION = """\
APP_NAME = Forge
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
WORK_PATH = {folder}

[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://{address}/
DOMAIN = 127.0.0.1
LOCAL_ROOT_URL = http://{address}/
{static}APP_DATA_PATH = {folder}/data
DISABLE_SSH = true
OFFLINE_MODE = true
LFS_START_SERVER = false

[database]
DB_TYPE = sqlite3
PATH = {folder}/data/gitea.db

[repository]
ROOT = {folder}/repositories
DEFAULT_BRANCH = main
DISABLED_REPO_UNITS = repo.wiki,repo.ext_wiki,repo.projects,repo.packages,repo.actions

[security]
INSTALL_LOCK = true
SECRET_KEY = {key}
PASSWORD_HASH_ALGO = pbkdf2_v1

[oauth2]
ENABLED = false

[service]
DISABLE_REGISTRATION = true

[webhook]
ALLOWED_HOST_LIST = loopback
DELIVER_TIMEOUT = 10

[actions]
ENABLED = false

[indexer]
ISSUE_INDEXER_TYPE = db

[cron.update_checker]
ENABLED = false

[log]
MODE = console
LEVEL = Info

[session]
PROVIDER = memory
"""
