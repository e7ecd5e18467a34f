"""Reads PromotionPipelines from the files that policies lie in.

Invariant: one broken pipeline never stops the others; each that cannot be used is reported with its file, its line and what
to mend. Two of one name are both invalid.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from controller.adapters.policies.files import MOST_FILES, is_pipeline, name_of, policy_files, text_of
from controller.adapters.policies.yaml_documents import DocumentError, read_documents
from controller.core.policy_text import explain_errors
from controller.core.promotion.pipeline import PromotionPipeline


@dataclass(frozen=True, slots=True)
class LoadedPipeline:
    """A pipeline that validates, and where it was written."""

    pipeline: PromotionPipeline
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class InvalidPipeline:
    """A pipeline that cannot be used."""

    name: str
    """``namespace/name`` as far as it is known, else the file."""
    file: str
    line: int
    messages: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.file}:{self.line}: {each}" for each in self.messages)


def load_pipelines(directory: Path) -> tuple[LoadedPipeline | InvalidPipeline, ...]:
    """Read every pipeline below a directory; policies and other documents are left out."""
    try:
        files = list(policy_files(directory))[:MOST_FILES]
    except OSError:
        return ()  # the policies' own reading says it
    return _without_twins(each for file in files for each in load_pipeline_file(file))


def load_pipeline_file(path: Path) -> tuple[LoadedPipeline | InvalidPipeline, ...]:
    """Read every pipeline of one file; one that is no text at all is said by the policies' own reading."""
    try:
        text = text_of(path)
    except ValueError:
        return ()
    return tuple(_loaded(text, str(path)))


def _loaded(text: str, file: str) -> Iterator[LoadedPipeline | InvalidPipeline]:
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
            places = [document.locate(each.location).line for each in said]
            name = name_of(document.value) or file
            yield InvalidPipeline(name, file, min(places, default=line), tuple(map(str, said)))
        else:
            yield LoadedPipeline(pipeline, file, line)


def _without_twins(
    found: Iterable[LoadedPipeline | InvalidPipeline],
) -> tuple[LoadedPipeline | InvalidPipeline, ...]:
    results = tuple(found)
    count = Counter(each.pipeline.key for each in results if isinstance(each, LoadedPipeline))
    return tuple(
        InvalidPipeline(
            str(each.pipeline.key), each.file, each.line, ("metadata.name: it is declared twice; rename one",)
        )
        if isinstance(each, LoadedPipeline) and count[each.pipeline.key] > 1
        else each
        for each in results
    )
