"""The demo's Git: a bare repository as the remote, and a clone in which a developer commits and pushes.

Invariant: the user's own Git configuration is neither read nor changed; what is done here, a person could type.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from controller.demo.manifest import FOLDER, PATH, Behaviour, ManifestError, behaviour
from controller.demo.processes import DemoError, clean_environment

BRANCH = "main"
DEVELOPER, EMAIL = "Dana Developer", "dana@example.com"
OLDEST_GIT = (2, 38)
TIMEOUT = 30.0

_DEPLOY = """\
#!/bin/sh
# Deploys the shop: puts the manifest where the shop reads it, and waits until it serves what the manifest says.
set -eu
cp MANIFEST "$SHOP/shop.yaml.next"
rm -f "$SHOP/refused"
mv "$SHOP/shop.yaml.next" "$SHOP/shop.yaml"
tries=0
until [ "$(cat "$SHOP/serving.yaml" 2>/dev/null)" = "$(cat MANIFEST)" ]; do
    if [ -s "$SHOP/refused" ]; then cat "$SHOP/refused"; exit 1; fi
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then echo "the shop does not serve it after 10 s"; exit 1; fi
    sleep 0.1
done
"""

_APART = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}
_VERSION = re.compile(r"(\d+)\.(\d+)")


def check_git() -> None:
    """Raises DemoError where Git is missing or too old."""
    if shutil.which("git") is None:
        raise DemoError("git is not on PATH: install it (2.38 or newer) and try again.")
    found = _VERSION.search(git(["--version"], None))
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GIT:
        have = found[0] if found else "an unknown version"
        raise DemoError(f"Rollguard needs git 2.38 or newer; this machine has {have}.")


def git(arguments: list[str], folder: Path | None) -> str:
    """What a git command prints; raises DemoError where it fails."""
    # A session of its own: Ctrl-C must not cut a commit in two.
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=clean_environment(**_APART),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"git {arguments[0]}: {error}") from None
    if done.returncode:
        raise DemoError(f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()[:1000]}")
    return done.stdout.decode(errors="replace")


def deploy_script(path: str) -> str:
    """The command that deploys the manifest at a path of the repository."""
    return _DEPLOY.replace("MANIFEST", path)


class Clone:
    """A person's working copy of a remote."""

    def __init__(self, url: str, folder: Path, name: str, email: str) -> None:
        """Clone into ``folder``, which is not there yet."""
        self.folder = folder
        git(["clone", "-q", "--template=", url, str(folder)], None)
        for key, value in (("user.name", name), ("user.email", email), ("commit.gpgSign", "false")):
            git(["config", key, value], folder)

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Write the files, commit and push as a developer would; returns the commit's id."""
        for path, text in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        git(["add", "--", *files], self.folder)
        git(["commit", "-q", "-m", message], self.folder)
        git(["push", "-q", "origin", f"HEAD:{BRANCH}"], self.folder)
        return git(["rev-parse", "HEAD"], self.folder).strip()

    def fetch(self) -> None:
        """Learn what the remote holds now."""
        git(["fetch", "-q", "origin"], self.folder)


class Shared:
    """The remote and the developer's clone of it."""

    def __init__(self, folder: Path) -> None:
        """Make both in ``folder``, with nothing committed."""
        self.remote = folder / "manifests.git"
        self._versions: dict[str, str] = {}
        git(["init", "-q", "--bare", "--template=", f"--initial-branch={BRANCH}", str(self.remote)], None)
        self.commit = Clone(str(self.remote), folder / "manifests", DEVELOPER, EMAIL).commit

    @property
    def url(self) -> str:
        """The remote, as the controller reaches it."""
        return self.remote.as_uri()

    def deploy(self, wanted: Behaviour, message: str) -> str:
        """Commit the manifest that makes the shop behave so."""
        return self.commit({PATH: wanted.manifest()}, message)

    def begin(self, first: Behaviour) -> str:
        """The first commit: the manifest, and the command that deploys it."""
        return self.commit(
            {PATH: first.manifest(), f"{FOLDER}/deploy.sh": deploy_script(PATH)}, f"Begin with shop {first.version}"
        )

    def version(self, revision: str) -> str:
        """The version that a revision's manifest deploys; a question mark where it has none."""
        if revision not in self._versions:
            try:
                text = git(["cat-file", "blob", f"{revision}:{PATH}"], self.remote)
                self._versions[revision] = behaviour(text).version
            except (DemoError, ManifestError):
                return "?"
        return self._versions[revision]

    def changes(self, revision: str) -> list[str]:
        """The lines that a commit takes away and adds, as its diff has them."""
        diff = git(["show", "--format=", "--unified=0", revision], self.remote)
        return [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]

    def show(self, revision: str) -> str:
        """A commit as ``git show`` prints it."""
        return show(revision, self.remote)


def show(revision: str, folder: Path) -> str:
    """A commit as ``git show`` prints it."""
    return git(["show", "--stat", "--patch", "--no-color", revision], folder).rstrip()
