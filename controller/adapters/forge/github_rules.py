"""What GitHub tells of a branch's rules: of rulesets everybody who may read, of a classic protection only administrators.

Invariant: what cannot be seen is None, and not "allowed".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from controller.adapters.forge.reading import field, objects, some_text, truth
from controller.core.forge_writing import BranchRules

_NO_PUSH = {"pull_request", "update", "merge_queue", "required_deployments", "workflows"}


def rules_of(branch: str, told: Any, rules: Iterable[Mapping[str, Any]], classic: Any) -> BranchRules:
    """The rules; ``told`` is the branch, ``rules`` those of rulesets, ``classic`` its protection where it may be seen."""
    by_type = {some_text(each, "type"): each for each in rules}
    protected = bool(truth(told, "protected")) or bool(by_type)
    reviews = field(by_type.get("pull_request"), "parameters") or field(classic, "required_pull_request_reviews")
    approvals = field(reviews, "required_approving_review_count")
    seen = classic is not None or not truth(told, "protected")
    return BranchRules(
        branch,
        protected=protected,
        push=_push(by_type, classic, seen=seen),
        approvals=approvals if isinstance(approvals, int) else (0 if seen else None),
        checks=tuple(sorted({*_ruled_checks(by_type), *_classic_checks(told, classic)})),
        signatures=_signatures(by_type, classic, seen=seen),
        dismisses_stale=_dismisses(reviews),
        merge_queue="merge_queue" in by_type,
    )


def _push(by_type: Mapping[str, Any], classic: Any, *, seen: bool) -> bool | None:
    demands = isinstance(field(classic, "required_pull_request_reviews"), dict)
    demands = demands or isinstance(field(classic, "required_status_checks"), dict)
    if _NO_PUSH & set(by_type) or "required_status_checks" in by_type or demands:
        return False
    if isinstance(field(classic, "restrictions"), dict):
        return None  # some may, and whether the token's user is one is not told
    return True if seen else None


def _ruled_checks(by_type: Mapping[str, Any]) -> list[str]:
    named = objects(by_type.get("required_status_checks"), "parameters", "required_status_checks")
    return [some_text(each, "context") for each in named]


def _classic_checks(told: Any, classic: Any) -> list[str]:
    for found in (field(classic, "required_status_checks"), field(told, "protection", "required_status_checks")):
        contexts = field(found, "contexts")
        if isinstance(contexts, list):
            return [str(each) for each in contexts]
    return []


def _signatures(by_type: Mapping[str, Any], classic: Any, *, seen: bool) -> bool | None:
    if "required_signatures" in by_type or truth(classic, "required_signatures", "enabled"):
        return True
    return False if seen else None


def _dismisses(reviews: Any) -> bool | None:
    told = truth(reviews, "dismiss_stale_reviews_on_push")
    return told if told is not None else truth(reviews, "dismiss_stale_reviews")
