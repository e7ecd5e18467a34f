"""What a pipeline may write: the files of the applications that it names, and nothing else.

Invariant: fails closed. Rollguard's credentials reach more than one owner may touch, so a pipeline's reach is its
application's: the same repository, branch and paths that the application is deployed from.
"""

from collections.abc import Iterable

from controller.core.application import Application
from controller.core.git import canonical_url


def outside_of(repository: str | None, branch: str | None, files: Iterable[str], application: Application) -> str:
    """Why a write does not lie in an application's own place, with the remedy; empty: it does."""
    source = application.source
    if repository is not None and canonical_url(repository) != canonical_url(source.repository):
        return f"write.repository is not where {application.key} is deployed from; leave it out, or use {source.repository}"
    if branch is not None and branch != source.branch:
        return f"write.branch is not the branch that {application.key} is deployed from, which is {source.branch}"
    stray = next((each for each in files if not any(_covers(path, each) for path in source.paths)), None)
    if stray is None:
        return ""
    paths = ", ".join(source.paths) or "the whole repository"
    return f"{stray} lies outside of what {application.key} is deployed from ({paths}): write a file that it reads"


def _covers(path: str, file: str) -> bool:
    return not path or file == path or file.startswith(f"{path}/")
