"""Whether a path holds manifests that a program has rendered from others, and from which.

Argo CD's source hydrator leaves ``hydrator.metadata`` in each folder that it writes, Kargo Render a file at the branch's
root. A restore of such a folder lasts until the next rendering: people revert what it was rendered from.

Invariant: files are hostile: what cannot be read still says that the path is rendered, and no more; no password is told.
"""

import json
import posixpath
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from controller.core.git import Rendered, canonical_url
from controller.core.revert import one_line

HYDRATOR = "hydrator.metadata"
KARGO = ".kargo-render/metadata.yaml"
_LARGEST = 1 << 16
_LONGEST = 200

Read: TypeAlias = Callable[[Sequence[str]], Sequence[bytes | None]]
"""The bodies of some files of one revision; None where there is no such file."""


def rendered_from(read: Read, paths: Sequence[str]) -> Rendered | None:
    """What the first of the paths that is rendered was rendered from; None: none is."""
    names = [*(posixpath.join(path, HYDRATOR) for path in paths), KARGO]
    found = next(((name, body) for name, body in zip(names, read(names), strict=True) if body is not None), None)
    if found is None:
        return None
    return _noted(found[1]) if found[0] != KARGO else Rendered()


def _noted(body: bytes) -> Rendered:
    node = _json(body)
    repository, revision = _text(node, "repoURL"), _text(node, "drySha") or _text(node, "drySHA")
    return Rendered(canonical_url(repository) if repository else "", revision)


def _json(body: bytes) -> dict[str, Any]:
    if len(body) > _LARGEST:
        return {}
    try:
        node = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return node if isinstance(node, dict) else {}


def _text(node: dict[str, Any], name: str) -> str:
    found = node.get(name)
    return one_line(found, _LONGEST) if isinstance(found, str) else ""
