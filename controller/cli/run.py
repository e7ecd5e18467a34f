"""``rollguard run``: the controller.

Invariant: it ends in order on SIGTERM and SIGINT: what is under way is finished within its time, the rest is remembered.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import structlog
import typer

from controller.app import build
from controller.cli.common import DEFAULT_SETTINGS, SettingsFile
from controller.cli.failures import CommandError
from controller.runtime.logs import Redactor, configure_logging
from controller.settings import load_settings

_log = structlog.get_logger("controller.run")


def run(
    settings: SettingsFile = DEFAULT_SETTINGS,
    policies: Annotated[
        Path,
        typer.Option(
            "--policies", envvar="ROLLGUARD_POLICIES", help="Directory of policy files; read again on change."
        ),
    ] = Path("policies"),
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
    if not policies.is_dir():
        raise CommandError(
            f"--policies {policies}: there is no such directory; make it, or name the one that holds them"
        )
    redactor = Redactor()
    configure_logging(log_level, redactor)
    made = build(load_settings(settings, os.environ), policies, redactor)
    with told_to_stop() as wait:
        try:
            made.controller.start()
            _log.info("listening", url=made.web.url)
            wait()
            _log.info("stopping")
        finally:
            made.controller.stop()


@contextmanager
def told_to_stop() -> Iterator[Callable[[], None]]:
    """Gives a call that returns once SIGTERM or SIGINT has come.

    The kernel may hand a signal to any thread; only the wake-up descriptor is sure to end the main thread's wait.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield lambda: _read_one(reader)
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def _read_one(reader: socket.socket) -> None:
    while not {signal.SIGTERM, signal.SIGINT} & set(reader.recv(64)):
        continue
