"""What people and pipelines do to a site: the command line, a pipeline that reports, what the shop runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from controller.core.state import Obstacle, Rollback
from controller.web.hook_client import Deployment, post_report
from tests.loop.site import Site

ROOT = Path(__file__).parents[2]
BOT = "image-updater[bot] <bot@example.com>"


def deployed(site: Site, version: str, name: str = "checkout") -> bool:
    """Whether a version is what the shop runs."""
    file = site.shops[name].deployed
    return file.exists() and f"version: {version}\n" in file.read_text()


def open_alerts(site: Site, name: str = "checkout") -> set[str]:
    """Names of an application's open alerts."""
    return {each.name.value for each in site.rollout(name).alerts}


def restoring(site: Site) -> Rollback | None:
    """The restore that is under way."""
    return site.rollout().rollback


def waits_for(site: Site, obstacle: Obstacle) -> bool:
    """Whether a restore waits for something."""
    rollback = restoring(site)
    return rollback is not None and rollback.obstacle is obstacle


def idle(site: Site, name: str = "checkout") -> bool:
    """Whether the story of an application is over."""
    rollout = site.rollout(name)
    return rollout.analysis is None and rollout.rollback is None


def rollguard(site: Site, *arguments: str) -> str:
    """Run a command in a process of its own; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "controller", *arguments],
        cwd=ROOT,
        env={**os.environ, "ROLLGUARD_SETTINGS": str(site.folder / "rollguard.yaml"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Pipeline:
    """Deploys as a CI pipeline does, and reports to the hook."""

    def __init__(self, site: Site, secret: bytes) -> None:
        self.site = site
        self.secret = secret

    def settings(self, secret_file: Path) -> dict[str, Any]:
        """What the site's settings need: an application that is reported, and the hook."""
        secret_file.write_bytes(self.secret)
        reported = {
            "name": "checkout",
            "namespace": "shop",
            "repository": self.site.url,
            "paths": ["apps/checkout"],
            "reported": {},
        }
        server = {"listen": "127.0.0.1:0", "deployedHook": {"secretFile": str(secret_file)}}
        return {"applications": [reported], "server": server}

    def deploy(self, revision: str) -> None:
        """Put a revision's manifest into place; nothing is reported."""
        manifest = self.site.remote.read(revision, "apps/checkout/app.yaml")
        assert manifest is not None
        self.site.shops["checkout"].deployed.write_bytes(manifest)

    def report(self, revision: str, phase: str | None = None) -> int:
        """Tell the controller over HTTP."""
        assert self.site.running is not None
        return post_report(self.site.running.web.url, self.secret, Deployment("shop/checkout", revision, phase))
