"""PromotionPipeline: how versions move from stage to stage. One model gives the YAML, the JSON Schema and the CRD.

Invariant: a pipeline that validates is complete, and its parts fit: names are unique, waves have no circle, each target has
an application and something to write.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from controller.core.application import ApplicationKey
from controller.core.declared import DeclarationError, Declared, Wait, lasting, shown
from controller.core.policy import NAME, PolicyMetadata
from controller.core.promotion.fields import FieldPathText
from controller.core.promotion.locks import Lock, OnLockedChange
from controller.core.promotion.trigger import Trigger
from controller.core.promotion.updates import RepositoryFile, Update
from controller.core.promotion.windows import Windows

PIPELINE_KIND = "PromotionPipeline"
_Text = Annotated[str, Field(min_length=1, max_length=253)]
_APPLICATION_NAME = r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?$"


class StageMode(StrEnum):
    """How a version gets into a stage."""

    COMMIT = "Commit"
    PULL_REQUEST = "PullRequest"


class StageApplication(Declared):
    """The application whose SLOPolicy judges the stage."""

    name: Annotated[str, Field(pattern=_APPLICATION_NAME)]
    """As the deployer calls it; in plain Git, as the settings do."""
    namespace: Annotated[str | None, Field(pattern=NAME)] = None
    """Left out: the pipeline's own namespace."""

    def key(self, namespace: str) -> ApplicationKey:
        """Its key, for a pipeline of a namespace."""
        return ApplicationKey(self.namespace or namespace, self.name)


class Write(Declared):
    """What is written where."""

    repository: _Text | None = None
    """URL; left out: where the application's manifests are."""
    branch: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Left out: the branch that the application is deployed from."""
    updates: Annotated[tuple[Update, ...], Field(min_length=1, max_length=32)]
    """The fields that name the version. They lie in the application's own paths."""


def _weights(value: object) -> object:
    if isinstance(value, bool):
        raise DeclarationError(f"{str(value).lower()} is not a number", "write for example values: [5, 25, 50, 100]")
    return value


class StageStep(Declared):
    """One field that is raised commit by commit, such as a weight or a number of replicas."""

    file: RepositoryFile
    """File that has the field, from the repository's root."""
    path: FieldPathText
    """The field, such as ``spec.rules[0].backendRefs[1].weight``."""
    values: Annotated[
        tuple[Annotated[int, Field(ge=0, le=1_000_000), BeforeValidator(_weights)], ...],
        Field(min_length=1, max_length=20),
    ]
    """Its values in order: the first is written together with the version, each next one once the one before passed."""


class Approvals(Declared):
    """Who must agree before a version gets into the stage."""

    minimum: Annotated[int, Field(ge=1, le=10)] = 1
    """How many people."""
    from_: Annotated[tuple[_Text, ...], Field(alias="from", max_length=32)] = ()
    """Users, or teams of the forge (groups of the cluster); none: whoever may review."""
    not_author: bool = True
    """Who wrote, triggered or pushed the change does not count."""
    bypass: Annotated[tuple[_Text, ...], Field(max_length=16)] = ()
    """Users who may let a hotfix through without approvals, with a reason; people are alerted."""


class MergeWhen(Declared):
    """When Rollguard merges a pull request by itself."""

    checks: Literal["Passed", "Ignored"] = "Passed"
    """Passed: every check of its newest commit, and at least one."""
    named: Annotated[tuple[_Text, ...], Field(max_length=32)] = ()
    """Checks that must be there and have passed; none: those that there are."""


TogetherWith = Annotated[tuple[StageApplication, ...], Field(max_length=15)]


class StageTarget(Declared):
    """One of several places of a stage, such as a cluster or a region."""

    name: Annotated[str, Field(pattern=NAME)]
    """Unique in the stage."""
    application: StageApplication
    together_with: TogetherWith = ()
    """As in a stage."""
    write: Write
    after: Annotated[tuple[Annotated[str, Field(pattern=NAME)], ...], Field(max_length=32)] = ()
    """Targets that must have passed before this one begins."""

    @property
    def applications(self) -> tuple[StageApplication, ...]:
        """All that one commit brings a version into."""
        return (self.application, *self.together_with)

    @model_validator(mode="after")
    def _group(self) -> Self:
        _together(self)
        return self


class Stage(Declared):
    """One environment on a version's way."""

    name: Annotated[str, Field(pattern=NAME)]
    """Unique in the pipeline: ``dev``, ``staging``, ``production``."""
    application: StageApplication | None = None
    """The application whose SLOPolicy judges the stage; targets name their own."""
    together_with: TogetherWith = ()
    """Applications that get the version in the same commit: each must pass, and what breaks one restores all of them."""
    write: Write | None = None
    mode: StageMode = StageMode.COMMIT
    merge_when: MergeWhen | None = None
    """None: Rollguard merges once there are approvals where those are asked for; else people merge."""
    approvals: Approvals | None = None
    soak: Annotated[Wait, lasting("0s", "30d")] = 0.0
    """How long the version must have been Healthy in the stage before; counts from the early pass."""
    windows: Windows = Windows()
    steps: Annotated[tuple[StageStep, ...], Field(max_length=4)] = ()
    """Fields that are raised commit by commit, each step judged before the next."""
    targets: Annotated[tuple[StageTarget, ...], Field(max_length=32)] = ()
    """The stage's places, where it has several: they may go one after another."""
    locked: Annotated[tuple[Lock, ...], Field(max_length=32)] = ()
    """What is changed by promotions, or by pull requests with the stage's approvals, and by nobody else."""
    on_locked_change: OnLockedChange = OnLockedChange.ALERT
    """What any other change of it leads to."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        _together(self)
        if self.targets and (self.write is not None or self.application is not None):
            raise DeclarationError(
                "a stage has either targets, or an application and write", "move them into a target"
            )
        if not self.targets and (self.write is None or self.application is None):
            missing = "write" if self.write is None else "application"
            raise DeclarationError(f"stage {shown(self.name)} has no {missing}", f"add {_EXAMPLES[missing]}")
        if self.merge_when is not None and self.mode is StageMode.COMMIT:
            raise DeclarationError("mergeWhen goes with mode: PullRequest", "a commit has nothing to merge")
        if len({len(step.values) for step in self.steps}) > 1:
            raise DeclarationError("the steps have different numbers of values", "give each field as many values")
        self._check_waves()
        return self

    def _check_waves(self) -> None:
        names = [each.name for each in self.targets]
        _refuse_twice("targets", names)
        passed: set[str] = set()
        for _ in names:
            passed |= {each.name for each in self.targets if set(each.after) <= passed}
        for target in self.targets:
            unknown = next((each for each in target.after if each not in names), None)
            if unknown is not None:
                raise DeclarationError(f"target {target.name} waits for {shown(unknown)}, which is no target here")
        if passed != set(names):
            circle = ", ".join(sorted(set(names) - passed))
            raise DeclarationError(f"the targets {circle} wait for each other", "let one of them begin")

    @property
    def places(self) -> tuple[StageTarget, ...]:
        """Its targets; of a stage without any, the stage itself as a target named ``""``."""
        if self.targets or self.application is None or self.write is None:
            return self.targets
        return (
            StageTarget.model_construct(
                name="",
                application=self.application,
                together_with=self.together_with,
                write=self.write,
                after=(),
            ),
        )

    @property
    def applications(self) -> tuple[StageApplication, ...]:
        """All that one commit brings a version into, where the stage has no targets."""
        return () if self.application is None else (self.application, *self.together_with)

    @property
    def step_count(self) -> int:
        """How many commits bring a version in completely."""
        return len(self.steps[0].values) if self.steps else 1


def _together(member: "Stage | StageTarget") -> None:
    """Refuse an application that is named twice."""
    if member.application is None and member.together_with:
        raise DeclarationError("togetherWith goes with application", "name the first one as application")
    if len(set(member.applications)) != len(member.applications):
        raise DeclarationError("togetherWith names an application twice", "name each application once")


_EXAMPLES = {
    "write": "write: {updates: [{file: envs/dev/values.yaml, path: image.tag}]}",
    "application": "application: {name: checkout}",
}


def _refuse_twice(what: str, names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DeclarationError(f"two of the {what} are named {shown(twice)}", "give each its own name")


def _unique(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    _refuse_twice("stages", [each.name for each in stages])
    return stages


class PipelineSpec(Declared):
    """The declaration itself."""

    trigger: Trigger
    """Where versions come from."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=16), AfterValidator(_unique)]
    """The environments, in order."""
    alerts: Annotated[tuple[_Text, ...], Field(max_length=16)] = ()
    """Alert sinks named in the administrator's settings; none: all."""


class PromotionPipeline(Declared):
    """How versions of a service move from stage to stage."""

    api_version: Literal["rollguard.dev/v1alpha1"]
    """Always the same."""
    kind: Literal["PromotionPipeline"]
    """Always the same."""
    metadata: PolicyMetadata
    spec: PipelineSpec
    status: dict[str, Any] | None = None
    """Written by the controller; not read."""

    @property
    def key(self) -> ApplicationKey:
        """Namespace and name."""
        return ApplicationKey(self.metadata.namespace, self.metadata.name)
