"""Policies of a cluster: what they come to for each application, and how each of them stands.

Invariant: what is told of a policy is worked out from what is in force, never from what is about to be.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from controller.adapters.policies.cluster import ClusterPolicies, DeclaredPolicy
from controller.adapters.policies.files import LoadedPolicy, load_directory
from controller.adapters.policies.signature import directory_signature
from controller.adapters.policies.standing import Standing, standing
from controller.app.policies import matching_rules, resolved
from controller.core.application import Application, ApplicationKey
from controller.core.policy import SLOPolicy
from controller.core.policy_matching import Conflict, Invalid, resolve_policies
from controller.core.state import Rollout
from controller.runtime.policy_watch import BrokenPolicy, Policies
from controller.settings import Settings

Offer = Callable[[Mapping[str, tuple[DeclaredPolicy, Standing]]], None]


class Declaring:
    """Reads policies, and tells how they stand."""

    def __init__(self, settings: Settings, declared: ClusterPolicies, directory: Path | None, offer: Offer) -> None:
        """``directory`` holds further policies; ``offer`` takes how all of the cluster's stand."""
        self._settings = settings
        self._declared = declared
        self._directory = directory
        self._offer = offer

    def signature(self) -> object:
        """Another value whenever a policy has changed."""
        files = directory_signature(self._directory) if self._directory is not None else None
        return self._declared.signature(), files

    def load(self, applications: Sequence[Application]) -> Policies:
        """What guards each application."""
        policies, broken = self._read()
        return resolved(self._settings, policies, broken, applications)

    def tend(self, rollouts: Iterable[Rollout]) -> None:
        """Work out how each policy of the cluster stands now."""
        known = {each.application.key: each for each in rollouts}
        applications = [each.application for each in known.values()]
        policies, _ = self._read()
        matched: dict[str, list[ApplicationKey]] = defaultdict(list)
        clashes: dict[str, list[str]] = defaultdict(list)
        invalid: dict[str, str] = {}
        rules = matching_rules(self._settings, applications)
        for key, found in resolve_policies(policies, applications, rules).items():
            if isinstance(found, Conflict):
                for name in found.policies:
                    clashes[name].append(f"{key}: {found.message}")
            elif isinstance(found, Invalid):
                invalid[found.policy] = found.message
            else:
                matched[f"{found.metadata.namespace}/{found.metadata.name}"].append(key)
        self._offer(
            {
                each.name: (
                    each,
                    standing(
                        each.message or invalid.get(each.name, ""), clashes[each.name], matched[each.name], known
                    ),
                )
                for each in self._declared.declared()
            }
        )

    def _read(self) -> tuple[list[SLOPolicy], list[BrokenPolicy]]:
        found = self._declared.declared()
        policies = [each.policy for each in found if each.policy is not None]
        broken = [BrokenPolicy(each.name, each.message) for each in found if each.policy is None]
        for each in load_directory(self._directory) if self._directory is not None else ():
            if isinstance(each, LoadedPolicy):
                policies.append(each.policy)
            else:
                broken.append(BrokenPolicy(each.name or each.file, str(each)))
        return policies, broken
