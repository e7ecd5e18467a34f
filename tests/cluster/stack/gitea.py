"""Gitea: a forge with HTTP Git, pull requests, branch protection and webhooks to loopback.

with Gitea(folder) as forge:
repository = forge.create_repository("manifests")
revision = repository.commit({"apps/checkout/app.yaml": text}, "Deploy one")
repository.protect("main")
"""

import secrets
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from controller.demo.pipeline.gitea import configuration
from tests.cluster.stack.forge_repository import Repository
from tests.cluster.stack.parts import program, shared
from tests.cluster.stack.processes import Process, answers, free_port

OWNER = "owner"
"""The user to whom repositories belong, and who administers the forge."""


class ForgeError(RuntimeError):
    """Gitea refused; ``status`` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Gitea:
    """A running Gitea; use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = secrets.token_hex(12)
        self.token = ""
        self._configuration = folder / "app.ini"
        self._environment = {"GITEA_WORK_DIR": str(folder), "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
        self.process = Process("gitea", folder, [*self._command(), "web"], self._environment)
        self._session = requests.Session()
        self._session.trust_env = False

    def _command(self) -> list[str]:
        return [program("gitea"), f"--config={self._configuration}", f"--work-path={self.folder}"]

    def start(self) -> None:
        """Start it, and make its first user with a token."""
        text = configuration(f"127.0.0.1:{self.port}", self.folder, shared("gitea", "static"))
        self._configuration.write_text(text)
        self.process.start(answers(f"{self.url}/api/healthz"))
        if not self.token:
            self.token = self.create_user(OWNER, self.password, admin=True)

    def stop(self) -> None:
        """End it."""
        self.process.stop()
        self._session.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def create_user(self, name: str, password: str, *, admin: bool = False) -> str:
        """Make a user; returns a token that may do all that the user may."""
        self._administer(
            "create",
            f"--username={name}",
            f"--password={password}",
            f"--email={name}@example.com",
            "--must-change-password=false",
            *(["--admin"] if admin else []),
        )
        said = self._administer(
            "generate-access-token", f"--username={name}", "--token-name=tests", "--scopes=all", "--raw"
        )
        return said.split()[-1]

    def _administer(self, *arguments: str) -> str:
        command = [*self._command(), "admin", "user", *arguments]
        environment = self.process.environment
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"gitea admin user {arguments[0]}: {done.stdout[-500:]}{done.stderr[-500:]}")
        return done.stdout

    def request(self, method: str, path: str, token: str | None = None, **more: Any) -> Any:
        """Ask its API (``path`` is without ``/api/v1``) as the owner, or with another token.

        Raises:
            ForgeError: it refused.
        """
        headers = {"Authorization": f"token {token or self.token}"}
        response = self._session.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=30, **more)
        if not response.ok:
            raise ForgeError(response.status_code, response.text[:500])
        return response.json() if response.content else None

    def create_repository(self, name: str) -> Repository:
        """Make an empty repository of the owner's; its branch is main."""
        self.request("POST", "/user/repos", json={"name": name, "default_branch": "main", "auto_init": False})
        return Repository(self, OWNER, name)
