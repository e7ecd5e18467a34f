"""What a pipeline may write: the files of the applications that it names, and nothing else.

Invariant: fails closed. Rollguard's credentials reach more than one owner may touch, so a pipeline's reach is its
application's: the same repository, branch and paths that the application is deployed from.
"""

from collections.abc import Iterable, Sequence

from controller.core.application import Application
from controller.core.git import canonical_url, same_branch, within


def outside_of(
    repository: str | None, branch: str | None, files: Iterable[str], applications: Sequence[Application]
) -> str:
    """Why a write does not lie in its applications' own places, with the remedy; empty: it does."""
    application = applications[0]
    source = application.source
    apart = next((each for each in applications if not same_branch(each.source, source)), None)
    if apart is not None:
        return (
            f"{apart.key} is deployed from another branch than {application.key}, and one commit reaches one branch: "
            "promote it in a pipeline of its own"
        )
    if repository is not None and canonical_url(repository) != canonical_url(source.repository):
        return f"write.repository is not where {application.key} is deployed from; leave it out, or use {source.repository}"
    if branch is not None and branch != source.branch:
        return f"write.branch is not the branch that {application.key} is deployed from, which is {source.branch}"
    read = [path for each in applications for path in each.source.paths]
    stray = next((each for each in files if not any(within(each, path) for path in read)), None)
    if stray is None:
        return ""
    names, paths = " and ".join(str(each.key) for each in applications), ", ".join(read) or "the whole repository"
    are, they = ("are", "they read") if len(applications) > 1 else ("is", "it reads")
    return f"{stray} lies outside of what {names} {are} deployed from ({paths}): write a file that {they}"
