"""``rollguard judge``: says what the controller would have decided about recorded deployments.

Invariant: it only reads, one trace at a time, however many there are. Exit 0: judged, and nothing breached; 1: a trace
is Breached; 2: wrong use, or a broken line, which ends the work: what stands before it has been judged.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.failures import CommandError, ExitCode
from controller.cli.judge_report import Report
from controller.cli.output import Format, clean
from controller.cli.progress import Progress
from controller.cli.trace_policy import read_policy
from controller.core.policy import PolicySpec
from controller.core.traces import LONGEST_LINE, TraceError, TraceVerdict, judge_trace, read_traces

STANDARD_INPUT = "-"
SHOWN_INPUT = "<stdin>"


def judge(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Traces (JSON Lines): files, or - for standard input.")
    ],
    *,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="Judge by this SLOPolicy, whatever policies the traces have."),
    ] = None,
    output: Annotated[
        Format, typer.Option("--output", "-o", help="A JSON line for each trace, or text for people.")
    ] = Format.JSON,
) -> None:
    """Judge recorded traces.

    A trace is a header, such as {"trace": "case-1", "policy": {…}, "interval": 15}, and ticks in time order, such as
    {"t": 15, "objective": "availability", "bad": 4, "total": 151}. t counts seconds from the start of the sync; ticks with
    t ≤ 0 are the time before. docs/traces.md has the whole format.

    Out comes a line for each trace: verdict, when it was decided, and the evidence. Exits 1 when any is Breached.
    """
    rules = None if policy is None else read_policy(policy)
    report, progress = Report(output), Progress()
    for name in files:
        for verdict in verdicts(name, rules):
            progress.clear()
            report.add(verdict)
            progress.show(f"{report.judged:,} traces judged, in {clean(name)[:60]}")
    progress.clear()
    report.close()
    raise typer.Exit(ExitCode.FOUND if report.breached else ExitCode.DONE)


def verdicts(name: str, policy: PolicySpec | None) -> Iterator[TraceVerdict]:
    """The verdicts on all traces of a file.

    Raises:
        CommandError: the file does not exist, holds no trace, or has a broken line.
    """
    shown = SHOWN_INPUT if name == STANDARD_INPUT else name
    found = 0
    with _lines(name) as lines:
        try:
            for trace in read_traces(lines, policy):
                found += 1
                yield judge_trace(trace)
        except TraceError as error:
            raise CommandError(f"{shown}:{error.line}: {error.problem}") from None
    if not found:
        raise CommandError(f'{shown}: holds no trace; one begins with a header, such as {{"trace": "case-1", …}}')


@contextmanager
def _lines(name: str) -> Iterator[Iterator[bytes]]:
    """The lines of a file; one that is too long comes cut off, behind the limit."""
    if name == STANDARD_INPUT:
        yield iter(partial(sys.stdin.buffer.readline, LONGEST_LINE + 1), b"")
        return
    path = Path(name)
    if path.is_dir():
        raise CommandError(f"{name} is a directory: name the files in it")
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise CommandError(f"there is no file {name}") from None
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror or type(error).__name__}") from None
    with stream:
        yield iter(partial(stream.readline, LONGEST_LINE + 1), b"")
