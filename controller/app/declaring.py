"""Policies of a cluster: what they come to for each application, and how each of them stands.

Invariant: what is told of a policy is worked out from what is in force, never from what is about to be.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from controller.adapters.policies.cluster import ClusterDeclarations, DeclaredPolicy
from controller.adapters.policies.files import LoadedPolicy, load_directory
from controller.adapters.policies.signature import directory_signature
from controller.adapters.policies.standing import Standing, standing
from controller.app.declaring_pipelines import DeclaringPipelines
from controller.app.policies import matching_rules, policies_of
from controller.core.application import Application, ApplicationKey
from controller.core.policy import SLOPolicy
from controller.core.policy_matching import Conflict, Invalid, Resolution, policy_key, resolve_policies
from controller.core.state import Rollout
from controller.runtime.policy_watch import BrokenPolicy, Policies
from controller.settings import Settings

Offer = Callable[[Mapping[str, tuple[DeclaredPolicy, Standing]]], None]


class Declaring:
    """Reads policies, and tells how they stand."""

    def __init__(
        self,
        settings: Settings,
        declared: ClusterDeclarations[SLOPolicy],
        directory: Path | None,
        offer: Offer,
        pipelines: DeclaringPipelines,
    ) -> None:
        """``directory`` holds further policies; ``offer`` takes how all of the cluster's stand."""
        self._settings = settings
        self._declared = declared
        self._directory = directory
        self._offer = offer
        self._pipelines = pipelines
        self._in_force: _InForce | None = None

    def signature(self) -> object:
        """Another value whenever a policy has changed."""
        files = directory_signature(self._directory) if self._directory is not None else None
        return self._declared.signature(), self._pipelines.signature(), files

    def load(self, applications: Sequence[Application]) -> Policies:
        """What guards each application."""
        declared = self._declared.declared()
        policies, broken = self._read(declared)
        found = resolve_policies(policies, applications, matching_rules(self._settings, applications))
        self._in_force = _in_force(declared, found)
        pipelines, broken_pipelines = self._pipelines.read()
        return replace(policies_of(found, [*broken, *broken_pipelines]), pipelines=pipelines)

    def tend(self, rollouts: Iterable[Rollout]) -> None:
        """Tell how each policy of the cluster stands now, with what is known of the applications."""
        in_force = self._in_force
        if in_force is None:
            return
        known = {each.application.key: each for each in rollouts}
        self._offer(
            {
                each.name: (
                    each,
                    standing(
                        each.message or in_force.invalid.get(each.name, ""),
                        in_force.clashes.get(each.name, ()),
                        in_force.matched.get(each.name, ()),
                        known,
                    ),
                )
                for each in in_force.declared
            }
        )

    def _read(self, declared: Sequence[DeclaredPolicy]) -> tuple[list[SLOPolicy], list[BrokenPolicy]]:
        policies = [each.declared for each in declared if each.declared is not None]
        broken = [BrokenPolicy(each.name, each.message) for each in declared if each.declared is None]
        for each in load_directory(self._directory) if self._directory is not None else ():
            if isinstance(each, LoadedPolicy):
                policies.append(each.policy)
            else:
                broken.append(BrokenPolicy(each.name or each.file, str(each)))
        return policies, broken


@dataclass(frozen=True, slots=True)
class _InForce:
    """What the policies came to when they were last read: to work it out for thousands is not done every few seconds."""

    declared: Sequence[DeclaredPolicy]
    matched: Mapping[str, Sequence[ApplicationKey]]
    """By policy; sorted."""
    clashes: Mapping[str, Sequence[str]]
    invalid: Mapping[str, str]


def _in_force(declared: Sequence[DeclaredPolicy], found: Mapping[ApplicationKey, Resolution]) -> _InForce:
    matched: dict[str, list[ApplicationKey]] = defaultdict(list)
    clashes: dict[str, list[str]] = defaultdict(list)
    invalid: dict[str, str] = {}
    for key, each in sorted(found.items(), key=lambda pair: pair[0]):
        if isinstance(each, Conflict):
            for name in each.policies:
                clashes[name].append(f"{key}: {each.message}")
        elif isinstance(each, Invalid):
            invalid[each.policy] = each.message
        else:
            matched[policy_key(each)].append(key)
    return _InForce(declared, matched, clashes, invalid)
