"""Which paths of a repository an Application's sources name.

Argo CD resolves a value file against the source's path, with a leading slash against the repository's root, as ``$ref/x``
against the root of the source of that ``ref``, and puts its build environment in. A pattern stands for the folder before
its first wildcard: too much rather than too little.

Invariant: every path is inside the repository, without a leading or trailing slash, and in no other one of the result;
``""`` is the whole tree.
"""

import posixpath
import re
from collections.abc import Iterable

from controller.adapters.gitops.argocd.application import SeenApplication, SourceSpec

_WILD = re.compile(r"[*?\[{]")
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")
_SECRETS = "secrets://"


def own_paths(seen: SeenApplication, source: SourceSpec) -> list[str]:
    """What a source of manifests names in its own repository, its ``$ref/…`` value files not among it."""
    if source.ref and not source.path:
        return []
    root = _resolved("", source.path)
    if root is None:
        return []
    annotated = [_resolved(root, each.strip()) for each in seen.generate_paths.split(";") if each.strip()]
    named = [*(each for each in source.value_files if not _reference(each)[0]), *source.components]
    files = [_resolved(root, _local(expanded(seen, source, each))) for each in named if _is_local(each)]
    libraries = [_resolved("", each) for each in source.libraries]
    whole = [] if root == "" and annotated else [root]  # else the annotation of an app at the root would say nothing
    return [each for each in (*whole, *annotated, *files, *libraries) if each is not None]


def referenced_paths(seen: SeenApplication, source: SourceSpec, ref: str) -> list[str]:
    """The value files that a source reads from the source named ``ref``."""
    found = (_reference(each) for each in source.value_files)
    files = (_resolved("", expanded(seen, source, path)) for name, path in found if name == ref)
    return [each for each in files if each is not None]


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Without those that lie in another."""
    every = sorted(set(paths))
    return tuple(each for each in every if not any(each != other and _covers(other, each) for other in every))


def expanded(seen: SeenApplication, source: SourceSpec, written: str) -> str:
    """Argo CD's build environment put in; what is not known before a sync is a wildcard."""
    known = {
        "ARGOCD_APP_NAME": seen.key.name,
        "ARGOCD_APP_NAMESPACE": seen.destination,
        "ARGOCD_APP_PROJECT_NAME": seen.project,
        "ARGOCD_APP_SOURCE_REPO_URL": source.repository,
        "ARGOCD_APP_SOURCE_PATH": source.path,
        "ARGOCD_APP_SOURCE_TARGET_REVISION": source.target,
    }

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$"
        return "*" if name.startswith("ARGOCD_APP_REVISION") else known.get(name, "")

    return _VARIABLE.sub(value, written)


def _reference(written: str) -> tuple[str, str]:
    """The ``ref`` and the path of ``$ref/path``; the build environment is written with a dollar too."""
    name, slash, path = written.partition("/")
    return (name[1:], path) if slash and name.startswith("$") and not name.startswith("$ARGOCD_") else ("", "")


def _is_local(written: str) -> bool:
    return "://" not in written or written.startswith(_SECRETS)


def _local(written: str) -> str:
    return written.removeprefix(_SECRETS)


def _resolved(root: str, written: str) -> str | None:
    """From the repository's root; None where it leads out of it."""
    wild = _WILD.search(written)
    fixed = written[: wild.start()].rpartition("/")[0] + "/" if wild else written
    if wild and "/" not in written[: wild.start()]:
        fixed = "."
    joined = fixed.lstrip("/") if fixed.startswith("/") else posixpath.join(root, fixed)
    path = posixpath.normpath(joined or ".")
    if path == ".." or path.startswith(("../", "/")):
        return None
    return "" if path == "." else path


def _covers(outer: str, inner: str) -> bool:
    return not outer or inner == outer or inner.startswith(outer + "/")
