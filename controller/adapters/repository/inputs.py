"""Which paths of the repository the files of an application read beside its own: kustomize bases, local charts.

Files are hostile: they are read as ``manifests`` reads them. Invariant: only paths inside the repository are told, and
the work is bounded; what lies elsewhere (remote bases, chart repositories) is not the repository's to restore.
"""

import posixpath
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from controller.adapters.repository.manifests import Node, read_documents
from controller.adapters.repository.references import covers, outermost

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
CHART = "Chart.yaml"
MOST_FOLDERS = 500
"""Folders that are looked into for one application."""
_LARGEST = 1 << 20
_LOCAL_CHART = "file://"

Read: TypeAlias = Callable[[Sequence[str]], Sequence[bytes | None]]
"""The bodies of some files of one revision; None where there is no such file."""


def inputs_of(read: Read, declared: Sequence[str]) -> tuple[str, ...]:
    """The declared paths and all that their files read, without those inside another."""
    found, seen, waiting = set(declared), set[str](), list(declared)
    while waiting and len(seen) < MOST_FOLDERS:
        folders = [path for path in dict.fromkeys(waiting) if path not in seen][: MOST_FOLDERS - len(seen)]
        seen.update(folders)
        waiting = [path for folder in folders for path in _read_by(read, folder)]
        found.update(path for path in waiting if not any(covers(outer, path) for outer in found))
    return outermost(found)


def _read_by(read: Read, folder: str) -> list[str]:
    """The paths that a folder's kustomization or chart names, from the repository's root."""
    names = (*KUSTOMIZATIONS, CHART)
    paths = [posixpath.join(folder, name) if folder else name for name in names]
    named: list[str] = []
    for name, body in zip(names, read(paths), strict=True):
        documents = _documents(body)
        named.extend(_chart_names(documents) if name == CHART else _kustomization_names(documents))
    resolved = (_resolved(folder, text) for text in named)
    return [path for path in resolved if path is not None]


def _documents(body: bytes | None) -> list[Node]:
    if body is None or len(body) > _LARGEST:
        return []
    return read_documents(body) or []


def _kustomization_names(documents: Iterable[Node]) -> list[str]:
    """What it lists, and whatever else in it leads out of its folder."""
    named: list[str] = []
    for document in documents:
        if not isinstance(document, dict):
            continue
        for key in ("resources", "bases", "components"):
            listed = document.get(key)
            named.extend(each for each in (listed if isinstance(listed, list) else ()) if isinstance(each, str))
        named.extend(_leading_out(document))
    return named


def _leading_out(node: Node) -> list[str]:
    """Every text that begins with ``../``, also after ``name=``; without recursion, since depth is hostile."""
    found: list[str] = []
    waiting: list[Node] = [node]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            text = each.rpartition("=")[2]
            found.extend([text] if text.startswith("../") else [])
        elif id(each) not in seen:  # an alias shares its node
            seen.add(id(each))
            waiting.extend(each if isinstance(each, list) else each.values())
    return found


def _chart_names(documents: Iterable[Node]) -> list[str]:
    named: list[str] = []
    for document in documents:
        dependencies = document.get("dependencies") if isinstance(document, dict) else None
        for each in dependencies if isinstance(dependencies, list) else ():
            repository = each.get("repository") if isinstance(each, dict) else None
            if isinstance(repository, str) and repository.startswith(_LOCAL_CHART):
                named.append(repository.removeprefix(_LOCAL_CHART))
    return named


def _resolved(folder: str, text: str) -> str | None:
    """A path relative to a folder, from the repository's root; None where it leads elsewhere."""
    if not text or "://" in text or "?" in text or text.startswith("/") or "\0" in text:
        return None
    path = posixpath.normpath(posixpath.join(folder, text))
    if path.startswith("..") or path.split("/")[0].endswith(":"):
        return None
    return "" if path == "." else path
