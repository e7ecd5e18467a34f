"""A Git repository in a folder, that Argo CD reads as ``file://``."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


class LocalRepository:
    """A repository with one branch, ``main``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"file://{folder}"
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def commit(self, files: Mapping[str, str | None], message: str = "Change things") -> str:
        """Write files (None: remove it) and commit them; returns the commit."""
        for name, text in files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head()

    def tag(self, name: str) -> None:
        """Tag the head."""
        self._git("tag", name)

    def revert(self) -> str:
        """Undo the last commit by another one; returns it."""
        self._git("revert", "--no-edit", "HEAD")
        return self.head()

    def head(self) -> str:
        """The last commit."""
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        who = {"NAME": "Shop", "EMAIL": "shop@example.com"}
        identity = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in who.items()}
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self._folder), **identity}
        return subprocess.run(
            ["git", "-C", str(self._folder), *arguments], env=environment, check=True, capture_output=True, text=True
        ).stdout
