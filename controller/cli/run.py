"""``rollguard run``: the controller.

Invariant: it ends in order on SIGTERM and SIGINT: what is under way is finished within its time, the rest is remembered.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer

from controller.app import Election, Rollguard, build
from controller.cli.common import DEFAULT_SETTINGS, SettingsFile
from controller.cli.failures import CommandError, ExitCode
from controller.runtime.logs import Redactor, configure_logging
from controller.settings import load_settings

DEFAULT_POLICIES = Path("policies")

_log = structlog.get_logger("controller.run")


def run(
    settings: SettingsFile = DEFAULT_SETTINGS,
    policies: Annotated[
        Path | None,
        typer.Option(
            "--policies",
            envvar="ROLLGUARD_POLICIES",
            help="Directory of policy files; read again on change. With store.kubernetes the cluster's SLOPolicies count, "
            "and these beside them. Otherwise ./policies.",
        ),
    ] = None,
    log_level: Annotated[
        str, typer.Option("--log-level", envvar="ROLLGUARD_LOG_LEVEL", help="DEBUG, INFO, WARNING or ERROR.")
    ] = "INFO",
) -> None:
    """Run the controller until it is told to stop (SIGTERM or Ctrl-C).

    It deploys or hears of deployments, judges each by its policy, and restores the manifests in Git when one breaks its
    SLO. Logs go to standard error: text on a terminal, JSON elsewhere.

    Example: rollguard run --settings rollguard.yaml --policies policies/
    """
    if log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise CommandError(f"--log-level {log_level}: give DEBUG, INFO, WARNING or ERROR")
    loaded = load_settings(settings, os.environ)
    if policies is None and loaded.store.kubernetes is None:
        policies = DEFAULT_POLICIES
    if policies is not None and not policies.is_dir():
        raise CommandError(
            f"--policies {policies}: there is no such directory; make it, or name the one that holds them"
        )
    redactor = Redactor()
    configure_logging(log_level, redactor)
    made = build(loaded, policies, redactor)
    with told_to_stop() as told:
        try:
            if made.election is None or _leads(made, made.election, told):
                made.controller.start()
                _log.info("listening", url=made.web.url)
                told.wait()
            _log.info("stopping")
        finally:
            made.controller.stop()
    if made.election is not None and made.election.lost.is_set():
        raise CommandError("the Lease was lost: another controller acts now", ExitCode.OUTSIDE_FAILED)


def _leads(made: Rollguard, election: Election, told: threading.Event) -> bool:
    """Stand by until this process leads; False: it was told to stop before. Losing the Lease later stops it."""
    made.web.start()
    made.stand_by()
    _log.info("standing by", url=made.web.url)
    if not election.acquire(told):
        return False
    _log.info("leading")
    threading.Thread(target=_stop_when_lost, args=(election, told), name="lease watch", daemon=True).start()
    return True


def _stop_when_lost(election: Election, told: threading.Event) -> None:
    election.lost.wait()
    told.set()


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """An event that is set once SIGTERM or SIGINT has come.

    The kernel may hand a signal to any thread; only the wake-up descriptor is sure to be told of it.
    """
    told = threading.Event()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_hear, args=(reader, told), name="signals", daemon=True)
    listener.start()
    try:
        yield told
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        writer.close()
        listener.join(1.0)
        reader.close()


def _hear(reader: socket.socket, told: threading.Event) -> None:
    """Set the event for each signal that asks to stop, until the other end is closed."""
    while received := reader.recv(64):
        if {signal.SIGTERM, signal.SIGINT} & set(received):
            told.set()
