"""Deploys one application from plain Git: pulls, exports the revision, runs the declared command in the export.

Invariant: what is compared is content, not commits. A sync is one change of the content of the application's paths; it
is reported Started once, when its command first starts, and once more for each way it ends: Failed, while the command
is tried again with growing pauses, and Healthy when it exits with 0. Each report is written down before it is
published and published before the next thing is done, so that a restart tells the same report again, with the same
times, rather than another one. In the same spirit the command may run again, never two at once:

- after a crash, or ``stop``, in the middle of a run: the same sync goes on, under its first start time;
- every ``resync`` seconds, so that drift is undone: no sync, nothing is reported;
- when ``refresh`` finds newer content while a command runs, that command is ended and the newer content deployed: a
  restore does not wait for the bad version's hanging deployment. The sync that was cut short gets no end of its own.

When none of the paths exists nothing runs: an empty folder handed to a command that prunes would delete everything.
"""

import os
import pwd
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from controller.adapters.gitops.deploy_command import Ending, Terms
from controller.adapters.gitops.deployment import Deployment
from controller.adapters.gitops.deployment_attempt import Why, pause_after, why_run
from controller.adapters.gitops.deployment_folder import DeploymentFolder
from controller.adapters.gitops.reconciler_status import ReconcilerState, ReconcilerStatus
from controller.core.application import Application, ApplicationKey, Content, Revision
from controller.ports.clock import Clock
from controller.ports.gitops import Publish, SyncPhase, SyncReport
from controller.ports.repository import Repository, RepositoryError
from controller.ports.store import StoreError

RESYNC_INTERVALS = 12
"""By default the command runs again after so many intervals, but not more often than once in ``RESYNC_LEAST``."""
RESYNC_LEAST = 60.0
LONGEST_LOOK = 60.0
"""Longest pause in seconds before Git is asked again, where the interval is not longer."""
STOP_MARGIN = 5.0
"""Seconds that ``stop`` waits beyond the command's grace."""

_log = structlog.get_logger(__name__)


class EmbeddedReconciler:
    """A source of syncs that deploys one application by itself, in one thread."""

    def __init__(  # noqa: PLR0917  what it works on comes first, how it does so by name
        self,
        application: Application,
        repository: Repository,
        command: Sequence[str],
        interval: float,
        workdir: Path,
        clock: Clock,
        *,
        deployed: Revision | None = None,
        environment: Mapping[str, str] | None = None,
        resync: float | None = None,
        timeout: float = 600.0,
        grace: float = 5.0,
        run_as: str | None = None,
    ) -> None:
        """Nothing runs before ``start``. Times are seconds; ``workdir`` belongs to this application alone.

        ``deployed`` is what is known to be live where ``workdir`` knows nothing: equal content is then no sync.
        ``environment`` is added to the command's; ``run_as`` names another user for it and needs root.
        """
        resync = resync if resync is not None else max(interval * RESYNC_INTERVALS, RESYNC_LEAST)
        if not command or min(interval, resync, timeout) <= 0:
            raise ValueError(
                f"application {application.key}: reconcile needs a command, and interval, resync and timeout above 0"
            )
        variables = dict(environment or {})
        self._application = application
        self._repository = repository
        self._interval = interval
        self._clock = clock
        self._deployed = deployed
        self._grace = grace
        self._folder = DeploymentFolder(workdir, _account(application.key, run_as))
        self._deployment = Deployment(
            application,
            repository,
            command,
            self._folder,
            clock,
            terms=Terms(timeout, grace, run_as, tuple(variables.values())),
            environment=variables,
            retry=interval,
            resync=resync,
        )
        self._recalled = False
        self._failed_looks = 0
        self._ask_after = 0.0
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._publish: Publish = _to_nobody
        self._status = ReconcilerStatus(ReconcilerState.STARTING, "has not looked at Git yet", clock.now())
        self._log = _log.bind(application=str(application.key))

    def start(self, publish: Publish) -> None:
        """Begin to watch, in a thread of its own."""
        if self._thread is not None:
            raise RuntimeError(f"the reconciler of {self._application.key} was started before")
        self._publish = publish
        self._thread = threading.Thread(target=self._run, name=f"reconcile {self._application.key}", daemon=True)
        self._thread.start()

    def refresh(self, application: ApplicationKey) -> None:
        """Look at Git now; another application's key means nothing here."""
        if application == self._application.key:
            self._wake.set()

    def stop(self) -> None:
        """End a running command and the thread; what was cut short goes on at the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread is None:
            return
        self._thread.join(self._grace + STOP_MARGIN)
        if self._thread.is_alive():
            self._log.warning("reconciler still waits for Git; it ends with the process")

    def status(self) -> ReconcilerStatus:
        """What it is at; an error that lasts is visible here."""
        return self._status

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                pause = self._look()
                self._wake.wait(pause)
                self._wake.clear()
        finally:
            self._folder.close()

    def _look(self) -> float:
        """One look at Git and what follows from it; returns the seconds until the next."""
        try:
            pause = self._reconcile()
        except RepositoryError as error:
            return self._later(ReconcilerState.GIT_UNAVAILABLE, str(error))
        except StoreError as error:
            return self._later(ReconcilerState.STORE_UNAVAILABLE, f"a report could not be stored: {error}")
        except OSError as error:
            return self._later(ReconcilerState.FOLDER_UNUSABLE, str(error))
        except Exception as error:  # noqa: BLE001  a thread that ends in silence would leave the application undeployed
            if self._status.state is not ReconcilerState.BROKEN:
                self._log.exception("reconciler failed")
            return self._later(ReconcilerState.BROKEN, type(error).__name__)
        self._failed_looks = 0
        return pause

    def _reconcile(self) -> float:
        self._folder.open()
        if not self._recalled:
            self._deployment.recall(self._deployed)
            self._recalled = True
        self._deployment.tell(self._publish)
        head, trouble = self._ask_git()
        if self._stopping.is_set():
            return 0.0
        content = head[1] if head is not None else None
        why = why_run(self._deployment.attempt, content, due=self._deployment.due_in() <= 0)
        cut_short = why is not None and self._deploy(why, head) is Ending.INTERRUPTED
        if trouble is not None:
            raise trouble
        if content is not None and content.empty:
            paths = ", ".join(self._application.source.paths)
            self._enter(ReconcilerState.NOTHING_TO_DEPLOY, f"none of {paths} exists in the branch: nothing is run")
            return self._interval
        self._enter_deployed()
        return 0.0 if cut_short else min(self._interval, max(self._deployment.due_in(), 0.0))

    def _ask_git(self) -> tuple[tuple[Revision, Content] | None, RepositoryError | None]:
        """The branch's head and its content; or why they are not known, while what is deployed is looked after."""
        source = self._application.source
        try:
            revision = self._repository.fetch(source.branch)
            return (revision, self._repository.content(revision, source.paths)), None
        except RepositoryError as error:
            return None, error

    def _deploy(self, why: Why, head: tuple[Revision, Content] | None) -> Ending:
        attempt = self._deployment.attempt
        if attempt is not None and why is not Why.CHANGED:
            head = attempt.revision, attempt.content
        if head is None:
            raise AssertionError("a change without a head")  # why_run gives none
        revision, content = head
        if why in (Why.CHANGED, Why.INTERRUPTED):
            self._enter(ReconcilerState.DEPLOYING, f"deploys {revision[:12]}", revision)
        return self._deployment.run(why, revision, content, self._publish, lambda: self._unwanted(content))

    def _unwanted(self, content: Content) -> bool:
        """Whether the running command should end: at ``stop``, or where a refresh finds other content in Git."""
        if self._stopping.is_set():
            return True
        now = self._clock.monotonic()
        if not self._wake.is_set() or now < self._ask_after:
            return False
        self._wake.clear()
        head, _ = self._ask_git()
        if head is None:  # the refresh stands until Git answers
            self._ask_after = now + self._interval
            self._wake.set()
            return False
        return not head[1].empty and head[1] != content

    def _enter_deployed(self) -> None:
        attempt, failure = self._deployment.attempt, self._deployment.failure
        if failure:
            self._enter(ReconcilerState.COMMAND_FAILED, failure)
        elif attempt is not None and attempt.phase is SyncPhase.HEALTHY:
            self._enter(ReconcilerState.SYNCED, f"{attempt.revision[:12]} is deployed")

    def _later(self, state: ReconcilerState, message: str) -> float:
        """Trouble: what is deployed stays, and the next look comes later each time."""
        self._failed_looks += 1
        self._enter(state, message)
        return pause_after(self._failed_looks, self._interval, max(self._interval, LONGEST_LOOK))

    def _enter(self, state: ReconcilerState, message: str, revision: Revision | None = None) -> None:
        """Say it in the status, and in one log line where the state is another than before."""
        before, attempt = self._status, self._deployment.attempt
        if revision is None and attempt is not None:
            revision = attempt.revision
        since = before.since if state is before.state else self._clock.now()
        self._status = ReconcilerStatus(state, message, since, revision)
        if state is not before.state:
            calm = state in (ReconcilerState.SYNCED, ReconcilerState.DEPLOYING)
            say = self._log.info if calm else self._log.warning
            say("reconciler", state=state.value, reason=message, revision=revision)


def _account(application: ApplicationKey, run_as: str | None) -> tuple[int, int] | None:
    """User and group id of another user; raises ValueError where it does not exist or may not be used."""
    if run_as is None:
        return None
    try:
        account = pwd.getpwnam(run_as)
    except KeyError:
        raise ValueError(f"application {application}: there is no user {run_as} to run the command as") from None
    if os.geteuid() != 0:
        raise ValueError(f"application {application}: running the command as {run_as} needs root")
    return account.pw_uid, account.pw_gid


def _to_nobody(report: SyncReport) -> None:
    """Where reports go before ``start``: nothing runs then."""
