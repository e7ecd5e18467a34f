"""A Git repository with one application, whose deploy script leaves traces: what plain Git is tried on."""

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.adapters.gitops.plain_git import EmbeddedReconciler
from controller.adapters.repository import GitRepository
from controller.core.application import Application, ApplicationKey, Content, GitSource, Revision
from controller.ports.gitops import SyncReport
from controller.ports.repository import Repository
from tests.adapters.gitops.parts import PATIENCE, RealClock, wait_until

KEY = ApplicationKey("shop", "checkout")
PATH = "apps/checkout"
SCRIPT = f"{PATH}/deploy.sh"
DEPLOY = 'cp apps/checkout/manifest "$TRACES/live"; echo "$ROLLGUARD_REVISION" >> "$TRACES/runs"'
"""Makes the manifest live, and adds a line for each run."""


class Reports:
    """Where reports go; tells what came, and waits for what is to come."""

    def __init__(self) -> None:
        self.all: list[SyncReport] = []
        self._came = threading.Condition()

    def __call__(self, report: SyncReport) -> None:
        with self._came:
            self.all.append(report)
            self._came.notify_all()

    def wait_for(self, *phases: str) -> list[SyncReport]:
        """Exactly these phases, in this order, have been reported since the start."""
        with self._came:
            self._came.wait_for(lambda: len(self.all) >= len(phases), PATIENCE)
        assert self.phases == list(phases)
        return self.all

    def wait_for_end_of(self, revision: str) -> None:
        """The revision has been reported as Healthy or Failed."""
        with self._came:
            assert self._came.wait_for(
                lambda: any(r.revision == revision and r.phase != "Started" for r in self.all), PATIENCE
            )

    @property
    def phases(self) -> list[str]:
        return [report.phase.value for report in self.all]


class CountedRepository:
    """The real repository, with its fetches counted: a look at Git can be awaited."""

    def __init__(self, repository: Repository) -> None:
        self.fetches = 0
        self._repository = repository

    def fetch(self, branch: str) -> Revision:
        try:
            return self._repository.fetch(branch)
        finally:
            self.fetches += 1

    def content(self, revision: Revision, paths: Sequence[str]) -> Content:
        return self._repository.content(revision, paths)

    def export(self, revision: Revision, paths: Sequence[str], destination: Path) -> None:
        self._repository.export(revision, paths, destination)


@dataclass
class Shop:
    """The repository, the reconciler's folder, and what the deploy script leaves; made where it is not there yet."""

    root: Path
    reports: Reports = field(default_factory=Reports)
    running: list[EmbeddedReconciler] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tree = self.root / "tree"
        self.traces = self.root / "traces"
        self.workdir = self.root / "work"
        if not self.tree.exists():
            self.traces.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main", str(self.tree), at=self.root)
        self.repository = CountedRepository(GitRepository(self.tree.as_uri(), mirror_root=self.root / "mirrors"))
        self.application = Application(KEY, GitSource(self.tree.as_uri(), "main", (PATH,)))

    def git(self, *arguments: str, at: Path | None = None) -> str:
        identity = {
            f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        environment = os.environ | identity | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        command = ["git", "-c", "commit.gpgsign=false", *arguments]
        return subprocess.run(
            command, cwd=at or self.tree, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, manifest: str | None = None, script: str | None = None) -> Revision:
        """Commit what lies in the tree, with another manifest or deploy script where given."""
        if manifest is not None:
            self.write(f"{PATH}/manifest", manifest)
        if script is not None:
            self.write(SCRIPT, f"#!/bin/sh\nset -e\n{script}\n")
            (self.tree / SCRIPT).chmod(0o755)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a change")
        return Revision(self.git("rev-parse", "HEAD"))

    def reconciler(self, **options) -> EmbeddedReconciler:
        chosen = {"interval": 0.05, "resync": 3600.0, "grace": 0.5, **options}
        environment = {"TRACES": str(self.traces), **chosen.pop("environment", {})}
        return EmbeddedReconciler(
            self.application,
            self.repository,
            chosen.pop("command", (f"./{SCRIPT}",)),
            chosen.pop("interval"),
            self.workdir,
            RealClock(),
            environment=environment,
            **chosen,
        )

    def start(self, publish: Callable[[SyncReport], None] | None = None, **options) -> EmbeddedReconciler:
        reconciler = self.reconciler(**options)
        self.running.append(reconciler)
        reconciler.start(publish or self.reports)
        return reconciler

    def stop(self) -> None:
        while self.running:
            self.running.pop().stop()

    def looks(self, times: int = 2) -> None:
        """Wait until Git was looked at again from beginning to end."""
        wanted = self.repository.fetches + times
        wait_until(lambda: self.repository.fetches >= wanted, "a look at Git")

    def wait_for_state(self, state: str) -> None:
        reconciler = self.running[-1]
        wait_until(lambda: reconciler.status().state.value == state, f"state {state}")

    def trace(self, name: str) -> str:
        file = self.traces / name
        return file.read_text() if file.exists() else ""

    def wait_for_trace(self, name: str) -> str:
        wait_until(lambda: bool(self.trace(name)), f"the trace {name}")
        return self.trace(name)

    @property
    def runs(self) -> list[str]:
        return self.trace("runs").split()
