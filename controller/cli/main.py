"""The command ``rollguard``: what there is, and how it starts.

Invariant: nothing but the list of commands is imported here; see ``lazy``.
"""

import sys
from typing import Annotated

import typer

from controller import __version__
from controller.cli.failures import explained
from controller.cli.lazy import Entry, LazyGroup

_RUN, _LOOK, _ACT, _PROMOTE, _WRITE = "Run", "Look", "Act", "Promote", "Write policies"

ENTRIES = (
    Entry("run", "controller.cli.run", "run", "Run the controller.", _RUN),
    Entry(
        "demo",
        "controller.cli.demo",
        "demo",
        "Show the whole loop on this machine, on real Git and Prometheus.",
        _RUN,
    ),
    Entry("status", "controller.cli.status", "status", "What is guarded, and how it is.", _LOOK),
    Entry("history", "controller.cli.history", "history", "What was decided.", _LOOK),
    Entry("explain", "controller.cli.explain", "explain", "Why it was decided: numbers, evidence, commits.", _LOOK),
    Entry(
        "report-deployed", "controller.cli.report_deployed", "report_deployed", "Say what a pipeline deployed.", _ACT
    ),
    Entry("rollback", "controller.cli.rollback", "rollback", "Restore an application in Git, now.", _ACT),
    Entry("pause", "controller.cli.pause", "pause", "Change nothing for a while: the brake.", _ACT),
    Entry("resume", "controller.cli.pause", "resume", "Take a pause back.", _ACT),
    Entry(
        "quarantine", "controller.cli.quarantine", "quarantine", "Known-bad versions: list them, release them.", _ACT
    ),
    Entry("pipelines", "controller.cli.pipelines", "pipelines", "Which version is in which stage.", _PROMOTE),
    Entry(
        "drift", "controller.cli.drift", "drift", "In what environments differ, and Git from what is live.", _PROMOTE
    ),
    Entry(
        "locked", "controller.cli.locked", "locked", "Which configuration is locked, and what was changed.", _PROMOTE
    ),
    Entry("promote", "controller.cli.promote", "promote", "Let a version into a stage.", _PROMOTE),
    Entry("approve", "controller.cli.promote", "approve", "Agree to a version in a stage.", _PROMOTE),
    Entry("freeze", "controller.cli.freeze", "freeze", "Stop the line: nothing goes forward.", _PROMOTE),
    Entry("thaw", "controller.cli.freeze", "thaw", "Let the line go on.", _PROMOTE),
    Entry("lint", "controller.cli.lint", "lint", "Check policies.", _WRITE),
    Entry("judge", "controller.cli.judge", "judge", "Verdicts for recorded traces.", _WRITE),
    Entry(
        "backtest",
        "controller.cli.backtest",
        "backtest",
        "What a policy would have decided about past deployments.",
        _WRITE,
    ),
    Entry("schema", "controller.cli.schema", "schema", "JSON Schema of a policy, for editors.", _WRITE),
    Entry("import", "controller.cli.import_", "import_", "Make a policy from Pyrra, Sloth or OpenSLO.", _WRITE),
)

HELP = """
Guards deployments that come from Git: after each sync it watches the service's SLO in Prometheus, and restores the
manifests in Git when a deployment breaks it.

Begin with [bold]rollguard demo[/bold], or write a policy, check it with [bold]rollguard lint[/bold], and start
[bold]rollguard run[/bold].

Exit codes: 0 done, 1 found something (lint errors, a breach), 2 wrong use, 3 an outside system failed.
"""


def _paragraphs(text: str) -> str:
    """Each paragraph in one line, to be broken where the terminal is as wide."""
    return "\n\n".join(" ".join(each.split()) for each in text.strip().split("\n\n"))


class Commands(LazyGroup):
    """All commands of ``rollguard``."""

    entries = ENTRIES


app = typer.Typer(
    name="rollguard",
    cls=Commands,
    help=_paragraphs(HELP),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rollguard {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that come before the command."""


def main() -> None:
    """Run the command line; the exit code tells how it went."""
    try:
        with explained():
            app(prog_name="rollguard")
    except typer.Exit as end:
        sys.exit(end.exit_code)
