"""Commands that are imported when they are used: ``rollguard --help`` stays fast, and one broken command breaks no other.

Invariant: the list of commands needs no import; whatever a command raises becomes a message and an exit code.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from controller.cli.failures import CommandError, explained


@dataclass(frozen=True, slots=True)
class Entry:
    """A command in the list of commands."""

    name: str
    module: str
    attribute: str
    """A function with typer's annotations, or a ``Typer`` of its own."""
    summary: str
    panel: str


class PlainCommand(TyperCommand):
    """A command whose help shows no type beside an option that takes no value."""

    def get_params(self, ctx: Any) -> Any:
        """All parameters, ``--help`` too."""
        return _without_types(super().get_params(ctx))


def _without_types(parameters: Any) -> Any:
    for each in parameters:
        if getattr(each, "is_flag", False):
            each.metavar = ""
    return parameters


class LazyCommand(TyperCommand):
    """Stands for a command until it is used."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name, help=entry.summary, short_help=entry.summary, rich_help_panel=entry.panel)
        self._entry = entry

    def load(self) -> Any:
        """The command itself."""
        try:
            target = getattr(import_module(self._entry.module), self._entry.attribute)
        except ModuleNotFoundError as error:
            if error.name != self._entry.module:
                raise
            raise CommandError(f"this build of Rollguard has no command {self._entry.name}") from None
        if isinstance(target, typer.Typer):
            return _reflowed(get_command(target))
        single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
        single.command(self._entry.name, cls=PlainCommand)(target)
        return _reflowed(get_command(single))

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself, which is then what runs."""
        return self.load().make_context(info_name, args, parent, **extra)


def _reflowed(command: Any) -> Any:
    """The command, with the paragraphs of its help in one line each, to be broken where the terminal is as wide."""
    if command.help:
        paragraphs = command.help.split("\n\n")
        command.help = "\n\n".join(
            each if each.startswith(" ") else " ".join(each.split("\n")) for each in paragraphs
        )
    for below in getattr(command, "commands", {}).values():
        _reflowed(below)
    return command


class LazyGroup(TyperGroup):
    """The root: knows every command by name and summary, and explains what goes wrong in them."""

    entries: tuple[Entry, ...] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update({entry.name: LazyCommand(entry) for entry in self.entries})

    def get_params(self, ctx: Any) -> Any:
        """All parameters, ``--help`` too."""
        return _without_types(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with explained():
            return super().invoke(ctx)
