"""Deploys revisions of one application by its command, and tells of it: written down, told, done, in this order.

Invariant: an attempt is on the disk before it is told, and told before its command runs; its end is on the disk before
that is told. After a crash at any point the same reports are told again, with the same times, and a command that was
cut short runs again once nothing of it is left.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from controller.adapters.gitops.deploy_command import (
    CommandResult,
    Ending,
    Terms,
    kill_marked,
    run_command,
    scrubbed_environment,
)
from controller.adapters.gitops.deployment_attempt import Attempt, Why, pause_after, untold
from controller.adapters.gitops.deployment_folder import DeploymentFolder
from controller.core.application import Application, Content, Revision
from controller.ports.clock import Clock
from controller.ports.gitops import Publish, SyncPhase, SyncReport
from controller.ports.repository import InvalidReference, Repository, RepositoryError, RevisionUnknown

LONGEST_RETRY = 300.0
"""Longest pause in seconds before a failed command is run again."""
MARK = "ROLLGUARD_RUN"


class Deployment:
    """The deployment of one application; used by one thread."""

    def __init__(
        self,
        application: Application,
        repository: Repository,
        command: Sequence[str],
        folder: DeploymentFolder,
        clock: Clock,
        *,
        terms: Terms,
        environment: Mapping[str, str],
        retry: float,
        resync: float,
    ) -> None:
        """``retry`` is the pause in seconds after a first failure, ``resync`` that after a success."""
        self.attempt: Attempt | None = None
        self.failure = ""
        """Why the last run failed, in one sentence; empty where it succeeded."""
        self._application = application
        self._repository = repository
        self._command = tuple(command)
        self._folder = folder
        self._clock = clock
        self._terms = terms
        self._environment = dict(environment)
        self._retry = retry
        self._resync = resync
        self._due_at = clock.monotonic()
        self._failures = 0

    def recall(self, deployed: Revision | None) -> None:
        """Take up what was deployed before; nothing of a command that was cut short is left running."""
        attempt = self._folder.load()
        if attempt is not None and attempt.running:
            kill_marked(f"{MARK}={attempt.running}")
        elif attempt is not None and attempt.phase is SyncPhase.HEALTHY:
            self._due_at = self._clock.monotonic() + self._resync
        if attempt is not None and attempt.phase is SyncPhase.FAILED:
            self.failure = attempt.message
        self.attempt = attempt or self._adopted(deployed)

    def due_in(self) -> float:
        """Seconds until the command must run again though nothing has changed; 0 and below: now."""
        return self._due_at - self._clock.monotonic()

    def tell(self, publish: Publish) -> None:
        """Publish what is written down and not yet told."""
        attempt = self.attempt
        if attempt is None:
            return
        for phase in untold(attempt):
            publish(self._report(attempt, phase))
            self._keep(replace(attempt, told=phase))

    def run(
        self, why: Why, revision: Revision, content: Content, publish: Publish, unwanted: Callable[[], bool]
    ) -> Ending:
        """Export the revision and run the command there; raises what the repository, the disk or ``publish`` raises.

        A revision that must not be exported (a link that leads out, say) is a deployment that failed.
        """
        export = self._export(revision)
        self._keep(self._begun(why, revision, content))
        self.tell(publish)
        result = self._run_in(export, revision, unwanted) if isinstance(export, Path) else export
        self._end(result)
        self.tell(publish)
        return result.ending

    def _begun(self, why: Why, revision: Revision, content: Content) -> Attempt:
        """A new sync, or the one that is known, about to run under a new mark."""
        mark = uuid.uuid4().hex
        if self.attempt is not None and why is not Why.CHANGED:
            return replace(self.attempt, running=mark)
        self.failure, self._failures = "", 0
        return Attempt(revision, content, self._clock.now(), running=mark)

    def _run_in(self, export: Path, revision: Revision, unwanted: Callable[[], bool]) -> CommandResult:
        result = run_command(
            self._command,
            export,
            self._variables(revision),
            terms=self._terms,
            clock=self._clock,
            unwanted=unwanted,
        )
        self._folder.keep_only(export)
        return result

    def _adopted(self, deployed: Revision | None) -> Attempt | None:
        """What is known to be live, as if it had been deployed from here; its command runs, and nothing is told."""
        if deployed is None:
            return None
        try:
            content = self._repository.content(deployed, self._application.source.paths)
        except (RevisionUnknown, InvalidReference):
            return None
        now = self._clock.now()
        return Attempt(deployed, content, now, SyncPhase.HEALTHY, now, told=SyncPhase.HEALTHY)

    def _export(self, revision: Revision) -> Path | CommandResult:
        """The revision in a new folder, or why it is refused; after other errors the next try comes later."""
        export = self._folder.new_export(revision)
        try:
            self._repository.export(revision, self._application.source.paths, export)
            self._folder.hand_over(export)
        except InvalidReference as error:
            self._folder.discard(export)
            return CommandResult(Ending.FAILED, f"{revision[:12]} cannot be deployed: {error}")
        except (RepositoryError, OSError):
            self._folder.discard(export)
            self._postpone()
            raise
        return export

    def _end(self, result: CommandResult) -> None:
        attempt = self.attempt
        if attempt is None or result.ending is Ending.INTERRUPTED:
            self._due_at = self._clock.monotonic()
            return
        if result.ending is Ending.SUCCEEDED:
            self.failure, self._failures = "", 0
            self._due_at = self._clock.monotonic() + self._resync
        else:
            self.failure = result.message
            self._postpone()
        self._keep(_ended(attempt, result, self._clock.now()))

    def _postpone(self) -> None:
        self._failures += 1
        self._due_at = self._clock.monotonic() + pause_after(self._failures, self._retry, LONGEST_RETRY)

    def _keep(self, attempt: Attempt) -> None:
        self._folder.save(attempt)
        self.attempt = attempt

    def _variables(self, revision: Revision) -> dict[str, str]:
        told = {
            "ROLLGUARD_APPLICATION": self._application.key.name,
            "ROLLGUARD_NAMESPACE": self._application.key.namespace,
            "ROLLGUARD_REVISION": revision,
            "ROLLGUARD_PATHS": "\n".join(self._application.source.paths),
            MARK: self.attempt.running if self.attempt is not None else "",
        }
        return scrubbed_environment(self._folder.home, self._environment, told)

    def _report(self, attempt: Attempt, phase: SyncPhase) -> SyncReport:
        started = phase is SyncPhase.STARTED
        return SyncReport(
            application=self._application.key,
            revision=attempt.revision,
            phase=phase,
            at=attempt.started_at if started else attempt.ended_at,
            content=attempt.content,
            message=attempt.message if phase is SyncPhase.FAILED else "",
        )


def _ended(attempt: Attempt, result: CommandResult, now: float) -> Attempt:
    """The attempt after a run: only the first end of each kind counts, and drift that persists fails no sync."""
    phase = SyncPhase.HEALTHY if result.ending is Ending.SUCCEEDED else SyncPhase.FAILED
    if attempt.phase in (SyncPhase.HEALTHY, phase):
        return replace(attempt, running="")
    return replace(attempt, phase=phase, ended_at=now, message=result.message, running="")
