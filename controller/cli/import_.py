"""``rollguard import``: makes an SLOPolicy from what the owner already has.

Invariant: standard output holds policies that pass lint, and nothing else; what could not be expressed is said on
standard error, and the exit code is 1 then.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.adapters.policies.files import LARGEST_FILE
from controller.adapters.policies.importers import SourceFormat, convert
from controller.cli.failures import CommandError, ExitCode
from controller.cli.output import clean


def import_(
    source: Annotated[SourceFormat, typer.Argument(metavar="FORMAT", help="pyrra, sloth or openslo.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to convert; - for standard input.")],
    application: Annotated[
        str | None, typer.Option("--application", help="Put everything into one policy for this application.")
    ] = None,
) -> None:
    """Make a policy from Pyrra, Sloth or OpenSLO.

    Writes SLOPolicy YAML to standard output, with comments on what could not be carried over.
    """
    made = convert(_read(file), source, application)
    typer.echo(made.text, nl=False)
    for each in made.refused:
        typer.echo(clean(f"{'<stdin>' if file == '-' else file}: not carried over: {each}"), err=True)
    if made.refused:
        raise typer.Exit(ExitCode.FOUND)


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read(LARGEST_FILE + 1) if file == "-" else _bytes(Path(file))
        if len(content) > LARGEST_FILE:
            raise CommandError(f"{file} is larger than {LARGEST_FILE // 1024 // 1024} MB")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no text in UTF-8") from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from None
