"""Which policy guards which application, from files and from the cluster.

Invariant: one broken policy stops only itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from controller.adapters.policies.files import InvalidPolicy, LoadedPolicy, load_directory
from controller.adapters.policies.pipeline_files import LoadedPipeline, load_pipelines
from controller.core.application import Application, ApplicationKey
from controller.core.events import PolicyChanged
from controller.core.policy import SLOPolicy
from controller.core.policy_matching import Conflict, MatchingRules, Resolution, policy_key, resolve_policies
from controller.core.promotion.pipeline import PromotionPipeline
from controller.runtime.policy_watch import PIPELINE, BrokenPolicy, Policies
from controller.settings import Settings


def load_policies(settings: Settings, directory: Path, applications: Sequence[Application]) -> Policies:
    """Read the policy files, and say what guards each application."""
    loaded = load_directory(directory)
    policies = [each.policy for each in loaded if isinstance(each, LoadedPolicy)]
    invalid = [each for each in loaded if isinstance(each, InvalidPolicy)]
    broken = [BrokenPolicy(each.name or each.file, str(each)) for each in invalid]
    pipelines, broken_pipelines = read_pipelines(directory)
    found = resolved(settings, policies, [*broken, *broken_pipelines], applications)
    return replace(found, pipelines=pipelines)


def read_pipelines(directory: Path) -> tuple[list[PromotionPipeline], list[BrokenPolicy]]:
    """The pipelines of a directory, and those that cannot be used."""
    loaded = load_pipelines(directory)
    return (
        [each.pipeline for each in loaded if isinstance(each, LoadedPipeline)],
        [
            BrokenPolicy(each.name or each.file, str(each), PIPELINE)
            for each in loaded
            if not isinstance(each, LoadedPipeline)
        ],
    )


def resolved(
    settings: Settings,
    policies: Iterable[SLOPolicy],
    broken: Iterable[BrokenPolicy],
    applications: Sequence[Application],
) -> Policies:
    """Say what guards each application."""
    found = resolve_policies(policies, applications, matching_rules(settings, applications))
    return policies_of(found, broken)


def policies_of(found: Mapping[ApplicationKey, Resolution], broken: Iterable[BrokenPolicy]) -> Policies:
    """What was resolved, as it is told to each application."""
    return Policies({key: _event(each) for key, each in found.items()}, tuple(broken))


def _event(resolution: Resolution) -> PolicyChanged:
    if isinstance(resolution, SLOPolicy):
        return PolicyChanged(policy_key(resolution), resolution.spec)
    return PolicyChanged("", None, resolution.message, conflict=isinstance(resolution, Conflict))


def matching_rules(settings: Settings, applications: Iterable[Application]) -> MatchingRules:
    """What the settings and the applications' destinations say about who may guard what."""
    cluster = settings.cluster
    return MatchingRules(
        cluster=cluster.name,
        default_namespace=cluster.default_application_namespace,
        destinations={each.key: each.destination for each in applications if each.destination},
        outside=cluster.destinations_outside_own_namespace or None,
    )
