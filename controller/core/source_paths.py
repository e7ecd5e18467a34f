"""Which paths of the repository an application reads, once its files tell of more than it declares.

Invariant: all contents of one rollout are of the same paths, so that equal contents deploy the same manifests. When the
paths change, every content is replaced by that of the new paths at its revision, in one step.
"""

from collections.abc import Mapping
from dataclasses import replace

from controller.core.analysis import Analysis, Deployed, Good
from controller.core.application import Content, Revision
from controller.core.events import PathsFound
from controller.core.rollback import Stage
from controller.core.state import Rollout
from controller.core.step import Step


def revisions_of(rollout: Rollout) -> frozenset[Revision]:
    """Every revision whose content the rollout holds."""
    deployed = (rollout.live, rollout.good, *rollout.earlier, *rollout.known_bad)
    found = {each.revision for each in deployed if each is not None}
    if rollout.analysis is not None:
        found.update(sync.revision for sync in rollout.analysis.syncs)
        if rollout.analysis.before is not None:
            found.add(rollout.analysis.before.revision)
    if rollout.rollback is not None:
        found.add(rollout.rollback.target)
    return frozenset(found)


def take_paths(step: Step, event: PathsFound) -> Step:
    """The application reads other paths from now on; what is not in the repository any more cannot be gone back to."""
    rollout = step.rollout
    if rollout.application.source.paths == event.paths:
        return step
    contents = dict(event.contents)
    if not revisions_of(rollout) <= contents.keys() | event.missing:
        return step  # it has moved on since: asked again with the next revision
    source = replace(rollout.application.source, paths=event.paths)
    step = step.set(application=replace(rollout.application, source=source))
    step = _with_contents(step, contents)
    if step.rollout.rollback is not None and step.rollout.rollback.in_flight:
        step = step.set_rollback(stage=Stage.INSPECT, next_at=step.now)
    return step.say(f"it reads {', '.join(path or '/' for path in event.paths)}")


def _with_contents(step: Step, contents: Mapping[Revision, Content]) -> Step:
    rollout = step.rollout
    step = step.set(
        live=_deployed(rollout.live, contents),
        good=_good(rollout.good, contents),
        earlier=tuple(good for each in rollout.earlier if (good := _good(each, contents)) is not None),
        known_bad=tuple(
            replace(each, content=contents[each.revision]) for each in rollout.known_bad if each.revision in contents
        ),
    )
    if rollout.analysis is not None:
        step = step.set(analysis=_analysis(rollout.analysis, contents))
    rollback = rollout.rollback
    if rollback is not None and rollback.target in contents:
        restored = contents.get(rollback.revision) if rollback.revision is not None else None
        step = step.set_rollback(target_content=contents[rollback.target], restored_content=restored)
    return step


def _deployed(deployed: Deployed | None, contents: Mapping[Revision, Content]) -> Deployed | None:
    if deployed is None or deployed.revision not in contents:
        return None
    return replace(deployed, content=contents[deployed.revision])


def _good(good: Good | None, contents: Mapping[Revision, Content]) -> Good | None:
    if good is None or good.revision not in contents:
        return None
    return replace(good, content=contents[good.revision])


def _analysis(analysis: Analysis, contents: Mapping[Revision, Content]) -> Analysis:
    syncs = tuple(replace(sync, content=contents.get(sync.revision, Content(()))) for sync in analysis.syncs)
    return replace(analysis, syncs=syncs, before=_good(analysis.before, contents))
