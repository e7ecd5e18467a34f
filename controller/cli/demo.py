"""``rollguard demo``: the whole loop on this machine, of one service or of a pipeline.

Invariant: however it ends, what it started has ended: every process, and the temporary folder with all that was written.
"""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from controller.cli.failures import CommandError, ExitCode
from controller.demo.ground import remove
from controller.demo.interruption import Interrupted, Interruption
from controller.demo.pipeline.gitea import find_gitea
from controller.demo.pipeline.registry import find_registry
from controller.demo.pipeline.site import PipelineSite, Programs
from controller.demo.pipeline.story import PipelineStory
from controller.demo.pipeline.summary import what_to_try as what_to_ship
from controller.demo.processes import DemoError
from controller.demo.prometheus import find_prometheus
from controller.demo.repository import check_git
from controller.demo.screen import Screen, console_for
from controller.demo.site import Site
from controller.demo.story import Story
from controller.demo.summary import what_to_try

_INTRODUCTION = """\
Rollguard demo: a bad commit is deployed, found by Prometheus, and reverted in Git.
Git, Prometheus, the controller and the requests are real; only the shop's faults are made on purpose. \
It takes about a minute, uses this machine's loopback interface only, and lives in {folder}."""


_PIPELINE_INTRODUCTION = """\
Rollguard demo: a new image goes from dev to staging to production by pull requests, and a bad one is stopped on its way.
Gitea, the registry, Git, Prometheus, the controller and the requests are real; only the bad image's fault is made on \
purpose. It takes about two minutes, uses this machine's loopback interface only, and lives in {folder}."""


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running after the story, to play with, until Ctrl-C.")
    ] = False,
    pipeline: Annotated[
        bool,
        typer.Option(
            "--pipeline", help="Show promotions instead: versions move from dev to production through a real Gitea."
        ),
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--directory",
            help="Work in this new or empty folder, and leave the files there. By default a temporary one is removed.",
        ),
    ] = None,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours (also: NO_COLOR=1).")] = False,
) -> None:
    """Show the whole loop on this machine: a bad commit is deployed, found, and reverted in Git.

    It needs git and Prometheus, and takes about a minute; with --pipeline Gitea and docker-registry too,
    and two minutes. Ctrl-C ends it at any time and leaves nothing behind.

    Examples: rollguard demo --keep, rollguard demo --pipeline
    """
    console = console_for(colour=not no_color)
    with Interruption() as interruption:
        try:
            show = _perform_pipeline if pipeline else _perform
            show(console, interruption, directory, keep=keep)
        except DemoError as error:
            raise CommandError(str(error), ExitCode.OUTSIDE_FAILED) from None
        except Interrupted as told:
            raise typer.Exit(told.exit_code) from None


def _perform(console: Console, interruption: Interruption, directory: Path | None, *, keep: bool) -> None:
    check_git()
    program = find_prometheus()
    with _folder(directory) as folder, _ended(console, folder, stays=directory is not None):
        site = Site(folder, interruption)
        with contextlib.closing(site), Screen(console) as screen:
            screen.paragraph(_INTRODUCTION.format(folder=folder))
            _play(Story(site, screen, program), screen, lambda: _suggestions(site), keep=keep)
            screen.say(f"\nTo break it yourself: {' '.join(_own_command())} demo --keep")


def _perform_pipeline(console: Console, interruption: Interruption, directory: Path | None, *, keep: bool) -> None:
    check_git()
    programs = Programs(find_prometheus(), find_gitea(), find_registry())
    with _folder(directory) as folder, _ended(console, folder, stays=directory is not None):
        site = PipelineSite(folder, interruption, programs)
        with contextlib.closing(site), Screen(console) as screen:
            screen.paragraph(_PIPELINE_INTRODUCTION.format(folder=folder))
            _play(PipelineStory(site, screen), screen, lambda: _pipeline_suggestions(site), keep=keep)
            screen.say(f"\nTo ship versions of your own: {' '.join(_own_command())} demo --pipeline --keep")


def _play(story: Story | PipelineStory, screen: Screen, suggestions: Callable[[], str], *, keep: bool) -> None:
    story.tell()
    if keep:
        screen.heading("It is all yours now; Ctrl-C ends it")
        screen.say(suggestions())
        story.stay()


def _suggestions(site: Site) -> str:
    return what_to_try(
        site.folder,
        _own_command(),
        prometheus=site.prometheus.url,
        controller=site.controller_address,
        shop=site.shop_address,
    )


def _pipeline_suggestions(site: PipelineSite) -> str:
    return what_to_ship(
        site.folder,
        _own_command(),
        sys.executable,
        gitea=site.gitea.url,
        prometheus=site.prometheus.url,
        controller=site.controller_address,
        people=(site.people.lee, site.people.dana, site.gitea.owner),
    )


def _own_command() -> list[str]:
    """How the user starts this program."""
    started = Path(sys.argv[0]).absolute()
    if started.name != "rollguard":
        return [sys.executable, "-m", "controller"]
    found = shutil.which("rollguard")
    return ["rollguard"] if found and Path(found).samefile(started) else [str(started)]


@contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    """The folder of the demo: the given one, which stays, or a temporary one, which does not."""
    if directory is None:
        made = Path(tempfile.mkdtemp(prefix="rollguard-demo-")).resolve()
        try:
            yield made
        finally:
            remove(made)
        return
    chosen = directory.absolute()
    chosen.mkdir(parents=True, exist_ok=True)
    if any(chosen.iterdir()):
        raise CommandError(
            f"--directory {directory} is not empty: name a new folder; the demo writes over nothing that is there"
        )
    yield chosen


@contextmanager
def _ended(console: Console, folder: Path, *, stays: bool) -> Iterator[None]:
    """Say how it ended, once everything has."""
    try:
        yield
    except Interrupted as told:
        with contextlib.suppress(OSError):  # the terminal may be gone
            console.print(f"\nEnded by {told}; {_left(folder, stays=stays)}", soft_wrap=True)
        raise
    console.print(f"\nDone; {_left(folder, stays=stays)}", soft_wrap=True)


def _left(folder: Path, *, stays: bool) -> str:
    if stays:
        return f"every process has ended; the files stay in {folder}."
    return "every process has ended, and nothing is left behind."
