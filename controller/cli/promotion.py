"""What the commands about pipelines share: which pipeline, stage and version is meant, and how a request is left.

Invariant: nothing is asked about a pipeline, stage or version that is not there: a typing error says what there is.
"""

import time
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated

import typer

from controller.cli.common import Opened
from controller.cli.failures import CommandError, ExitCode
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Progress, load_progress
from controller.core.promotion.version import SHORT, Version
from controller.ports.promotion_inbox import PromotionCommand, dump_promotion_command
from controller.ports.promotions import StoredPipeline

APipeline = Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline: NAME, or NAMESPACE/NAME.")]
AVersion = Annotated[str, typer.Argument(metavar="VERSION", help="As `rollguard pipelines` names it, or its tag.")]


def progress_of(stored: StoredPipeline) -> Progress:
    """What was written.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        return load_progress(stored.body)
    except ValueError as error:
        raise CommandError(
            f"the progress of {stored.pipeline} cannot be read: {error}", ExitCode.OUTSIDE_FAILED
        ) from None


def chosen_pipeline(place: Opened, text: str) -> Progress:
    """The one pipeline that is called so.

    Raises:
        CommandError: none is, or several are.
    """
    stored = place.store.pipelines()
    found = [each for each in stored if text in (str(each.pipeline), each.pipeline.name)]
    if len(found) == 1:
        return progress_of(found[0])
    if found:
        listed = " or ".join(str(each.pipeline) for each in found)
        raise CommandError(f"{text} is the name of several pipelines: say {listed}")
    raise CommandError(
        _missing("pipeline", text, [str(each.pipeline) for each in stored], [each.pipeline.name for each in stored])
    )


def chosen_stage(progress: Progress, text: str) -> str:
    """A stage of a pipeline.

    Raises:
        CommandError: it has none of this name.
    """
    stages = list(dict.fromkeys(each.stage for each in progress.places))
    if text in stages:
        return text
    raise CommandError(_missing("stage", text, stages, where=f" in {progress.pipeline}"))


def chosen_version(progress: Progress, text: str, *, commits: bool = False) -> Version:
    """A version that the pipeline's trigger found; with ``commits`` one that changed what is locked counts as one.

    Raises:
        CommandError: none is called so, or several are.
    """
    known = (*progress.known, *(each.version for each in progress.passages))
    if commits:
        known += tuple(Version(each[:SHORT], revision=each) for each in sorted(progress.offenders))
    by_identity = {each.identity: each for each in reversed(known)}
    found = [each for each in by_identity.values() if text in (each.name, each.tag, each.identity, each.revision)]
    found = found or [each for each in by_identity.values() if len(text) > 6 and each.identity.startswith(text)]  # noqa: PLR2004  digits that a person may shorten to
    if len(found) == 1:
        return found[0]
    if found:
        listed = " or ".join(each.identity[:19] for each in found)
        raise CommandError(f"{text} is the name of several versions: say {listed}")
    raise CommandError(
        _missing("version", text, [each.name for each in progress.known[:10]], where=f" in {progress.pipeline}")
    )


def leave(place: Opened, pipeline: ApplicationKey, command: PromotionCommand) -> int:
    """Put what is asked into the inbox; returns the receipt."""
    return place.store.receive("promotion", pipeline, dump_promotion_command(command), time.time())


def _missing(what: str, text: str, there: Sequence[str], also: Sequence[str] = (), *, where: str = "") -> str:
    close = get_close_matches(text, [*there, *also], n=1)
    if close:
        return f"there is no {what} {text!r}{where}: did you mean {close[0]}?"
    return f"there is no {what} {text!r}{where}; there are: {', '.join(there[:10]) or 'none yet'}"
