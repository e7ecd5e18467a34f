"""Reads PromotionPipelines from the files that policies lie in.

Invariant: one broken pipeline never stops the others; each that cannot be used is reported with its file, its line and what
to mend. Two of one name are both invalid.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from controller.adapters.policies.files import (
    MOST_FILES,
    InvalidPolicy,
    PlacedMessage,
    is_pipeline,
    name_of,
    policy_files,
    text_of,
)
from controller.adapters.policies.yaml_documents import DocumentError, Mark, read_documents
from controller.core.policy_text import PolicyMessage, explain_errors
from controller.core.promotion.pipeline import PromotionPipeline


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline that validates, and where it was written."""

    pipeline: PromotionPipeline
    file: str
    line: int


LoadedOrInvalid: TypeAlias = LoadedPipeline | InvalidPolicy


def load_pipelines(directory: Path) -> tuple[LoadedOrInvalid, ...]:
    """Read every pipeline below a directory; policies and other documents are left out."""
    try:
        files = list(policy_files(directory))[:MOST_FILES]
    except OSError:
        return ()  # the policies' own reading says it
    return _without_twins(each for file in files for each in load_pipeline_file(file))


def load_pipeline_file(path: Path, shown_as: str | None = None) -> tuple[LoadedOrInvalid, ...]:
    """Read every pipeline of one file; one that is no text at all is said by the policies' own reading."""
    try:
        text = text_of(path)
    except ValueError:
        return ()
    return tuple(load_pipeline_text(text, shown_as or str(path)))


def load_pipeline_text(text: str, file: str) -> Iterator[LoadedOrInvalid]:
    """Read every pipeline of a text; ``file`` is what messages call it."""
    for document in read_documents(text):
        if isinstance(document, DocumentError) or not is_pipeline(document.value):
            continue
        if not isinstance(document.value, dict):
            continue
        line = document.mark.line
        try:
            pipeline = PromotionPipeline.model_validate(document.value, by_alias=True, by_name=False)
        except ValidationError as error:
            said = explain_errors(error, PromotionPipeline)
            messages = tuple(PlacedMessage(each, document.locate(each.location)) for each in said)
            yield InvalidPolicy(file, line, name_of(document.value), messages)
        else:
            yield LoadedPipeline(pipeline, file, line)


def _without_twins(
    found: Iterable[LoadedOrInvalid],
) -> tuple[LoadedOrInvalid, ...]:
    results = tuple(found)
    count = Counter(each.pipeline.key for each in results if isinstance(each, LoadedPipeline))
    return tuple(
        _twin(each) if isinstance(each, LoadedPipeline) and count[each.pipeline.key] > 1 else each for each in results
    )


def _twin(loaded: LoadedPipeline) -> InvalidPolicy:
    name, location = str(loaded.pipeline.key), ("metadata", "name")
    message = PolicyMessage("metadata.name", f"{name} is declared twice", "rename one", location)
    return InvalidPolicy(loaded.file, loaded.line, name, (PlacedMessage(message, Mark(loaded.line)),))
