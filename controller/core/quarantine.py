"""Content that was rolled back and comes again.

Invariant: a person's re-land is judged like any deployment. A bot's is told, or undone at once where the policy says so,
but only once: after that nothing is done by itself until a person has acted.
"""

import re
from dataclasses import replace

from controller.core.alerts import AlertName
from controller.core.analysis import Analysis, Sync
from controller.core.deciding import planned
from controller.core.events import Limits
from controller.core.git import CommitFacts
from controller.core.policy import BreachAction, Mode
from controller.core.revert import one_line
from controller.core.rollback import Origin, Stage
from controller.core.state import KnownBad
from controller.core.step import Step

_BOT = re.compile(
    r"\[bot\]|(^|[^a-z])bots?([^a-z]|$)|image-?updater|image-?automation|renovate|dependabot|flux|argo-?cd|github-actions"
)
_HOW_TO_STOP = (
    "Suspend the writer: for Flux image automation `flux suspend image update NAME`; for Argo CD Image Updater "
    "annotate the Application with the ignore-tags list. Release it with `rollguard quarantine release {} {}`."
)


def is_bot(commit: CommitFacts) -> bool:
    """Whether a commit looks as if a program wrote it, by its author's and committer's names."""
    return any(_BOT.search(who.lower()) for who in (commit.author, commit.committer))


def known_bad_again(step: Step, sync: Sync, bad: KnownBad, commit: CommitFacts | None, limits: Limits) -> Step:
    """A deployment brings back what was rolled back."""
    if commit is None or not is_bot(commit):
        return step.say(f"{sync.revision[:12]} brings back what was rolled back; a person did it: a fresh analysis")
    key, who = step.rollout.application.key, one_line(commit.author, 60)
    how = _HOW_TO_STOP.format(key, bad.fingerprint)
    told = f"{key}: {who} brought back content that was rolled back ({bad.fingerprint})"
    analysis = step.rollout.analysis
    if analysis is None or not _restores_at_once(step, analysis, limits):
        return step.tell(AlertName.QUARANTINED, told, how)
    if bad.restored_again:
        return _freeze(step, bad, who, how)
    marked = tuple(replace(each, restored_again=True) if each == bad else each for each in step.rollout.known_bad)
    by_push = analysis.policy.on_breach.action is BreachAction.ROLLBACK
    action = BreachAction.ROLLBACK if by_push else BreachAction.PULL_REQUEST
    rollback = planned(analysis, Origin.QUARANTINE, action, step.now)
    step = step.tell(AlertName.QUARANTINED, told, how).set(known_bad=marked, rollback=rollback)
    return step.say("known-bad content came back: restoring once")


def _restores_at_once(step: Step, analysis: Analysis, limits: Limits) -> bool:
    policy, rollback = analysis.policy, step.rollout.rollback
    free = rollback is None or rollback.stage in (Stage.WITHDRAWN, Stage.REFUSED)
    enforced = Mode.SHADOW not in (policy.mode, limits.maximum_mode)
    return policy.quarantine == "RestoreOnce" and enforced and free and analysis.before is not None


def _freeze(step: Step, bad: KnownBad, who: str, how: str) -> Step:
    key = step.rollout.application.key
    told = f"{key}: {who} keeps bringing back content that was rolled back ({bad.fingerprint}): frozen"
    step = step.set(frozen=f"known-bad content {bad.fingerprint} keeps coming back by a bot's hand")
    return step.tell_anew(AlertName.QUARANTINED, told, f"Nothing is restored by itself until it is released. {how}")
