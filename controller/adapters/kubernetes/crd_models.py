"""The fields of the custom resources that no service owner writes: GuardedApplication, SyncAnalysis, a policy's status.

They describe what ``adapters.store`` writes and ``adapters.policies`` tells; ``kubectl explain`` says their docstrings.

Invariant: no field of a ``status`` is required and no text in it is bound to certain words, so that neither a write of a
part nor a newer version's word is refused: what is refused there is state that is lost. Bounds keep an object small.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

LARGEST_PACKED = 900_000
"""Characters of a packed text, as the store has it."""


class Fields(BaseModel):
    """A part of an object."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Word = Annotated[str, Field(max_length=253)]
Reason = Annotated[str, Field(max_length=4096)]
Text = Annotated[str, Field(max_length=65_536)]
Json = Annotated[str, Field(max_length=262_144)]
Packed = Annotated[str, Field(max_length=LARGEST_PACKED)]
Anything = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})]


class Condition(Fields):
    """A condition in the Kubernetes manner."""

    type: Word
    """Which condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Word = ""
    """Why, in one word."""
    message: Text = ""
    """Why, in a sentence."""
    observed_generation: int | None = None  # no default: ``kubectl wait`` would take a 0 for an old look
    """The generation of the spec that was looked at, where it is about one."""
    last_transition_time: Time | None = None
    """When the status last became another."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16)]


class PolicyStatus(Fields):
    """How the policy stands; written by Rollguard."""

    observed_generation: int | None = None
    """The generation of the spec that was looked at."""
    applications: int | None = None
    """How many applications it guards."""
    guarded: Annotated[tuple[Annotated[str, Field(max_length=512)], ...], Field(max_length=100)] | None = None
    """The first of them, as namespace/name."""
    conditions: Conditions | None = None
    """Ready, Conflict and RollbackPath."""


class ApplicationName(Fields):
    """The application, as its deployer names it."""

    namespace: Word
    """Namespace of the Application."""
    name: Word
    """Name of the Application."""


class Pause(Fields):
    """The brake: nothing is rolled back while it is on."""

    reason: Reason
    """Why; everybody who looks sees it."""
    until: Time | None = None
    """When it ends by itself; left out: when it is removed."""
    by: Word | None = None
    """Who asks for it."""
    at: Time | None = None
    """Since when."""


class Request(Fields):
    """Something that waits to be taken in."""

    id: Word
    """Unique in the object."""
    kind: Literal["sync", "command"]
    """A report of a deployment, or what a person asks for."""
    body: Json
    """JSON."""
    at: Time | None = None
    """When it was asked."""


class GuardedApplicationSpec(Fields):
    """What people ask; the commands `rollguard pause`, `resume`, `rollback` and `quarantine` write it."""

    application: ApplicationName | None = None
    """Which application it is; left out in the object `all`, whose pause is the brake on all."""
    pause: Pause | None = None
    requests: Annotated[tuple[Request, ...], Field(max_length=200)] | None = None
    """What waits to be taken in."""


class Letter(Fields):
    """An alert that waits for a sink."""

    uid: Word
    """Unique in the object."""
    sink: Word
    """A sink of the settings."""
    alert: Json
    """JSON."""


class PendingRecord(Fields):
    """The record of an analysis that may not be in its own object yet."""

    id: Word
    """The analysis."""
    started_at: Time | None = None
    """When its first deployment began."""
    ended_at: Time | None = None
    """When it was over."""
    revision: Word | None = None
    """What was judged."""
    verdict: Word | None = None
    """What came out."""
    record: Packed
    """All of it: JSON, compressed, in base64."""


class GuardedApplicationStatus(Fields):
    """What Rollguard knows of the application; written by it alone, never by hand."""

    phase: Word | None = None
    """How far it is: Idle, Deploying, Analysing, RollingBack, AwaitingMerge, Restored, Landed, Recovering, Closed."""
    live: Word | None = None
    """The revision that was deployed last."""
    last_good: Word | None = None
    """The revision that a breach would bring back."""
    policy: Annotated[str, Field(max_length=512)] | None = None
    """The policy that guards it, as namespace/name."""
    sentence: Text | None = None
    """What somebody who looks should know first."""
    analysis: Word | None = None
    """The analysis that is open; its SyncAnalysis tells more."""
    frozen: Text | None = None
    """Why nothing is restored automatically until a person has acted."""
    open_alerts: Annotated[tuple[Word, ...], Field(max_length=200)] | None = None
    """The alerts that are open."""
    version: int | None = None
    """Rises by one with each step."""
    state: Packed | None = None
    """All that is known: JSON, compressed, in base64."""
    outbox: Annotated[tuple[Letter, ...], Field(max_length=10_000)] | None = None
    """Alerts that wait for their sinks."""
    decisions: Annotated[tuple[Json, ...], Field(max_length=1000)] | None = None
    """Decisions of the last days, as JSON: budgets are counted from them."""
    handled: Annotated[tuple[Word, ...], Field(max_length=1000)] | None = None
    """Requests that were taken in and may still stand in the spec."""
    pending_records: Annotated[tuple[PendingRecord, ...], Field(max_length=1000)] | None = None
    """Records of analyses on their way into their own objects."""
    policy_namespace: Word | None = None
    """Where the SyncAnalyses of the application are."""
    conditions: Conditions | None = None
    """Ready, RollbackPath, Conflict and Analysing, as of the last step that was written."""


class SyncAnalysisSpec(Fields):
    """What is judged, and by what."""

    application: ApplicationName
    policy_name: Annotated[str, Field(max_length=512)] | None = None
    """The policy, as namespace/name."""
    policy: Anything | None = None
    """Its spec as it was before the first of these deployments: that is what judges them."""


class StorySync(Fields):
    """One deployment."""

    revision: Word
    """What was deployed."""
    started_at: Time | None = None
    """When it began."""
    healthy_at: Time | None = None
    """When it was healthy for the first time."""
    failed_at: Time | None = None
    """When it failed."""
    message: Text | None = None
    """Why it failed."""


class StoryObjective(Fields):
    """One objective, and what was measured."""

    name: Word
    """As the policy names it."""
    target: Text | None = None
    """What was promised."""
    measured: Text | None = None
    """What was served since the deployment began."""
    before: Text | None = None
    """What was served before it."""
    reason: Word | None = None
    """What came out, in one word."""
    sentence: Text | None = None
    """What came out, in a sentence."""
    bad_events: int | None = None
    """Bad events since the deployment began, without the warm-up."""
    total_events: int | None = None
    """All events in that time."""


class StoryRestore(Fields):
    """What was done about a breach."""

    origin: Word | None = None
    """Who wanted it: Verdict, Unhealthy, Quarantine, Person."""
    way: Word | None = None
    """Push or PullRequest."""
    stage: Word | None = None
    """How far it is in Git: Inspect, Build, Push, Done, Refused, Withdrawn."""
    target: Word | None = None
    """The revision that is brought back."""
    undoes: Word | None = None
    """The revision that was live."""
    commit: Word | None = None
    """The commit that restores."""
    branch: Word | None = None
    """The branch with it, where people are to merge it."""
    pull_request: Text | None = None
    """Where the pull request is that offers it."""
    obstacle: Word | None = None
    """What it waits for, in one word."""
    message: Text | None = None
    """What it waits for, or why it is no push."""
    decided_at: Time | None = None
    """When it was decided."""
    pushed_at: Time | None = None
    """When it was in Git."""


class SyncAnalysisStatus(Fields):
    """The story; written by Rollguard for people, nothing is decided from it."""

    id: Word | None = None
    """The analysis, as `rollguard explain` takes it."""
    kind: Word | None = None
    """Deployment, or Recovery: the look at a restore's own deployment."""
    phase: Word | None = None
    """How far it is; Closed: it is over."""
    verdict: Word | None = None
    """Healthy, Breached, Inconclusive, Hold or Unhealthy."""
    recovery: Word | None = None
    """What came out of a Recovery: Recovered, Ineffective or Inconclusive."""
    reason: Word | None = None
    """The verdict's reason in one word."""
    sentence: Text | None = None
    """The verdict in a sentence, with its numbers."""
    started_at: Time | None = None
    """When the first of the deployments began."""
    decided_at: Time | None = None
    """When the verdict was reached."""
    ended_at: Time | None = None
    """When it was over."""
    outcome: Text | None = None
    """How it ended."""
    from_revision: Word | None = None
    """The revision that was live before."""
    revision: Word | None = None
    """The revision that is judged."""
    syncs: Annotated[tuple[StorySync, ...], Field(max_length=200)] | None = None
    """The deployments that are judged together, the first one first."""
    objectives: Annotated[tuple[StoryObjective, ...], Field(max_length=64)] | None = None
    """What was promised and what was measured."""
    restore: StoryRestore | None = None
    record: Packed | None = None
    """All of it for `rollguard explain`: JSON, compressed, in base64."""
    conditions: Conditions | None = None
    """Complete, Healthy, Breached, and Restored where a restore was decided: for `kubectl wait`."""
