"""Tells how versions move: what is written, proposed, merged and stopped, each once, from the pipeline's own progress.

Invariant: pure of the terminal and of the processes; the same facts give the same lines.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from controller.core.promotion.progress import Passage, Phase, Progress
from controller.demo.narrator import Line, Mark

PEOPLES = "approval"
"""In the sentence of what waits for people."""


@dataclass(slots=True)
class Moves:
    """Remembers what it has told."""

    begin: float
    """When the demo began, Unix seconds."""
    pushed: Mapping[str, float]
    """When each version's tag was in the registry, Unix seconds."""
    landed: dict[tuple[str, str], float] = field(default_factory=dict)
    """For stage and version, when the branch was seen to hold it, Unix seconds."""
    proposed: dict[tuple[str, str], float] = field(default_factory=dict)
    _told: set[tuple[str, str, str]] = field(default_factory=set)

    def notice(self, progress: Progress, now: float) -> list[Line]:
        """What is new, in order of time."""
        order = {each: number for number, each in enumerate(progress.places)}
        passages = sorted(progress.passages, key=lambda each: order.get(each.place, 0))
        return [line for passage in passages for line in self._of(passage, now)]

    def _once(self, passage: Passage, what: str) -> bool:
        key = (str(passage.place), passage.version.identity, what)
        fresh = key not in self._told
        self._told.add(key)
        return fresh

    def _of(self, passage: Passage, now: float) -> Iterator[Line]:
        """What is new of one version in one stage. A previous version is no news."""
        key = (passage.place.stage, passage.version.name)
        if passage.pull_number is not None and passage.pull_url and self._once(passage, "proposed"):
            self.proposed[key] = now
            yield self._line(now, Mark.PULL, self._proposal(passage))
        if passage.phase is Phase.PROPOSED and PEOPLES in passage.sentence and self._once(passage, "waits"):
            yield self._line(now, Mark.NOTE, f"{passage.place} waits for people: {passage.sentence}")
        if passage.landed:
            yield from self.land(passage, passage.phase_at if passage.phase is Phase.DEPLOYING else now)
        if passage.phase is Phase.STOPPED and self._once(passage, "stopped"):
            said = f"{passage.version.name} is stopped in {passage.place}, and goes no further: {passage.sentence}"
            yield self._line(passage.phase_at, Mark.STOPPED, said)
        if passage.phase is Phase.TAKEN_BACK and self._once(passage, "taken back"):
            said = f"{passage.version.name} goes no further in {passage.place}: {passage.sentence}"
            yield self._line(passage.phase_at, Mark.STOPPED, said)

    def land(self, passage: Passage, at: float) -> list[Line]:
        """Tell that the branch holds a version, where that is news; of one that was there before it is none."""
        if not passage.commits or not self._once(passage, "landed"):
            return []
        self.landed[passage.place.stage, passage.version.name] = at
        return [self._landing(passage, at)]

    def _proposal(self, passage: Passage) -> str:
        was = f" in place of {passage.previous}" if passage.previous else ""
        number, version = passage.pull_number, passage.version.name
        return f"pull request {number} brings {version} to {passage.place}{was}: {passage.pull_url}"

    def _landing(self, passage: Passage, at: float) -> Line:
        version, place = passage.version.name, passage.place
        if passage.by_pull_request or passage.pull_number is not None:
            agreed = f", approved by {' and '.join(passage.approved_by)}" if passage.approved_by else ""
            said = f"Rollguard merges pull request {passage.pull_number}{agreed}: {place} is to run {version}"
            return self._line(at, Mark.MERGED, said)
        since = self.pushed.get(version)
        after = f", {at - since:.1f} s after its tag was pushed" if since is not None else ""
        said = f"Rollguard commits {passage.commits[-1].revision[:7]}: {place} is to run {version}{after}"
        return self._line(at, Mark.COMMIT, said)

    def _line(self, at: float, mark: Mark, text: str) -> Line:
        return Line(max(0.0, at - self.begin), mark, text)
