"""Approvals that something else than the pipeline's own record keeps and vouches for: which of them are news.

Invariant: pure, and what was taken in is no news again, however often it is read: an approval counts once.
"""

from collections.abc import Iterable
from dataclasses import replace

from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Approval, Progress

_Said = tuple[str, str, str, str]

MOST_GIVEN = 400
"""The newest that count: fewer than a pipeline keeps, so that none is pushed out and taken in again and again."""


def news(pipeline: PromotionPipeline, progress: Progress, given: Iterable[Approval]) -> tuple[Approval, ...]:
    """Those about a stage and a version that are there, and not taken in yet; ``given`` are all, oldest first.

    What is about a version that no trigger has found waits: it may come. One user's words for the same version and stage
    are one, with all the groups that were named in them.
    """
    stages = {each.name for each in pipeline.spec.stages}
    known = {each.identity for each in progress.known} | progress.offenders
    wanted: dict[_Said, Approval] = {}
    for each in given:
        if each.stage in stages and each.identity in known:
            before = wanted.get(_said(each))
            wanted[_said(each)] = each if before is None else replace(before, groups=_all_groups(before, each))
    newest = list(wanted.items())[-MOST_GIVEN:]
    taken = {_said(each): frozenset(each.groups) for each in progress.approvals}
    return tuple(each for said, each in newest if said not in taken or not taken[said] >= {*each.groups})


def _said(approval: Approval) -> _Said:
    return approval.stage, approval.identity, approval.user.casefold(), approval.bypass_reason


def _all_groups(one: Approval, other: Approval) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one.groups, *other.groups)))
