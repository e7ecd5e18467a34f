"""What the events of GitHub, GitLab and Gitea hint at.

Invariant: an event that is not known, or has not what is needed, hints at nothing; no event raises.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from controller.adapters.forge.reading import field, objects, some_text
from controller.core.forge_links import ForgeKind
from controller.core.git import canonical_url
from controller.core.hints import HintKind, RepositoryHint

_Places: TypeAlias = frozenset[str]
_Reader: TypeAlias = Callable[[_Places, Any], RepositoryHint | None]
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_URLS = ("clone_url", "ssh_url", "html_url", "git_http_url", "git_ssh_url", "web_url")
_LONGEST = 2000


def hint_in(kind: ForgeKind, event: str, data: Mapping[str, Any]) -> RepositoryHint | None:
    """What an event of this forge hints at; None: nothing that matters here."""
    reader = (_GITLAB if kind is ForgeKind.GITLAB else _GITHUB).get(event.strip().lower())
    places = _places(field(data, "project" if kind is ForgeKind.GITLAB else "repository"))
    return reader(places, data) if reader is not None and places else None


def _places(repository: Any) -> _Places:
    told = (some_text(repository, name, most=_LONGEST) for name in _URLS)
    return frozenset(canonical_url(url) for url in told if url and url.isprintable())


def _pushed(places: _Places, data: Any) -> RepositoryHint | None:
    ref = some_text(data, "ref", most=_LONGEST)
    if ref.startswith(_TAGS):
        return RepositoryHint(HintKind.TAG, places, tag=ref.removeprefix(_TAGS))
    if ref.startswith(_HEADS):
        return RepositoryHint(HintKind.PUSH, places, branch=ref.removeprefix(_HEADS))
    return None


def _created(places: _Places, data: Any) -> RepositoryHint | None:
    """GitHub's and Gitea's ``create`` and ``delete`` name no full reference."""
    name = some_text(data, "ref", most=_LONGEST).removeprefix(_TAGS).removeprefix(_HEADS)
    if some_text(data, "ref_type") == "tag":
        return RepositoryHint(HintKind.TAG, places, tag=name)
    return RepositoryHint(HintKind.PUSH, places, branch=name) if name else None


def _pull_request(places: _Places, data: Any) -> RepositoryHint:
    return _of_pull(HintKind.PULL_REQUEST, places, data, field(data, "pull_request"))


def _review(places: _Places, data: Any) -> RepositoryHint:
    return _of_pull(HintKind.REVIEW, places, data, field(data, "pull_request"))


def _of_pull(kind: HintKind, places: _Places, data: Any, pull: Any) -> RepositoryHint:
    number = _number(pull, "number") or _number(data, "number")
    return RepositoryHint(kind, places, branch=some_text(pull, "head", "ref", most=_LONGEST), number=number)


def _check(places: _Places, data: Any) -> RepositoryHint:
    branches = objects(data, "branches")
    named = [some_text(each, "name", most=_LONGEST) for each in branches]
    for part in ("check_run", "check_suite", "workflow_run"):
        named.append(some_text(data, part, "head_branch", most=_LONGEST))
        named.append(some_text(data, part, "check_suite", "head_branch", most=_LONGEST))
    return RepositoryHint(HintKind.CHECK, places, branch=next(filter(None, named), ""))


def _merge_request(places: _Places, data: Any) -> RepositoryHint:
    told = field(data, "object_attributes")
    reviewed = {"approved", "unapproved", "approval", "unapproval"}
    kind = HintKind.REVIEW if some_text(told, "action") in reviewed else HintKind.PULL_REQUEST
    branch = some_text(told, "source_branch", most=_LONGEST)
    return RepositoryHint(kind, places, branch=branch, number=_number(told, "iid"))


def _pipeline(places: _Places, data: Any) -> RepositoryHint:
    branch = some_text(data, "object_attributes", "ref", most=_LONGEST) or some_text(data, "ref", most=_LONGEST)
    return RepositoryHint(HintKind.CHECK, places, branch=branch, number=_number(data, "merge_request", "iid"))


def _number(data: Any, *path: str) -> int | None:
    found = field(data, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


_GITHUB: dict[str, _Reader] = {
    "push": _pushed,
    "create": _created,
    "delete": _created,
    "pull_request": _pull_request,
    "pull_request_label": _pull_request,
    "pull_request_sync": _pull_request,
    "pull_request_review": _review,
    "pull_request_approved": _review,
    "pull_request_rejected": _review,
    "pull_request_review_approved": _review,
    "pull_request_review_rejected": _review,
    "status": _check,
    "check_run": _check,
    "check_suite": _check,
    "workflow_run": _check,
}
"""Gitea copies GitHub's names, and has some of its own beside them."""

_GITLAB: dict[str, _Reader] = {
    "push hook": _pushed,
    "tag push hook": _pushed,
    "merge request hook": _merge_request,
    "pipeline hook": _pipeline,
    "job hook": _pipeline,
}
