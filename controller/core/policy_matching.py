"""Which policy guards which application.

Invariant: an application is guarded by exactly one policy or by none. Where two would guard it, or a policy's series
could not tell its applications apart, nothing is judged there and the reason is said.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from controller.core.application import Application, ApplicationKey
from controller.core.declared import DeclarationError
from controller.core.indicators import texts_of
from controller.core.policy import Indicator, SLOPolicy
from controller.core.policy_templates import render_indicator
from controller.core.policy_text import PolicyMessage
from controller.core.promql_text import template_names


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two or more policies would guard one application: none does."""

    application: ApplicationKey
    policies: tuple[str, ...]
    """``namespace/name`` of each, sorted."""

    @property
    def message(self) -> str:
        """What the owners are told."""
        listed = " and ".join(self.policies)
        return f"{listed} would guard it; nothing is judged until one policy is left"


@dataclass(frozen=True, slots=True)
class Invalid:
    """A policy matches, and cannot judge these applications."""

    policy: str
    messages: tuple[PolicyMessage, ...]

    @property
    def message(self) -> str:
        """What the owner is told."""
        return "; ".join(str(each) for each in self.messages)


Resolution: TypeAlias = SLOPolicy | Conflict | Invalid


@dataclass(frozen=True, slots=True)
class MatchingRules:
    """What the administrator's settings say about who may guard what."""

    cluster: str = "in-cluster"
    default_namespace: str | None = None
    """Namespace of applications that a policy names without one, beside the policy's own."""
    destinations: Mapping[ApplicationKey, str] | None = None
    """Namespace that an application deploys into, where it is not the application's own."""
    outside: Mapping[str, Collection[str]] | None = None
    """Policy namespace → further destination namespaces that it may guard; ``*`` is every one."""

    def destination(self, key: ApplicationKey) -> str:
        """The namespace that an application deploys into."""
        return (self.destinations or {}).get(key, key.namespace)

    def allows(self, policy: SLOPolicy, key: ApplicationKey) -> bool:
        """Whether the policy may guard the application."""
        own, destination = policy.metadata.namespace, self.destination(key)
        outside = (self.outside or {}).get(own, ())
        return destination == own or destination in outside or "*" in outside


def policy_key(policy: SLOPolicy) -> str:
    """``namespace/name`` of a policy."""
    return f"{policy.metadata.namespace}/{policy.metadata.name}"


def resolve_policies(
    policies: Iterable[SLOPolicy], applications: Iterable[Application], rules: MatchingRules | None = None
) -> dict[ApplicationKey, Resolution]:
    """What guards each application; one that no policy matches is not in the answer."""
    rules, known = rules or MatchingRules(), tuple(applications)
    guards: dict[ApplicationKey, list[tuple[SLOPolicy, tuple[PolicyMessage, ...]]]] = defaultdict(list)
    for policy in policies:
        matched = matching_applications(policy, known, rules)
        messages = check_matches(policy, matched, rules)
        for each in matched:
            guards[each.key].append((policy, messages))
    return {key: _resolved(key, found) for key, found in guards.items()}


def _resolved(key: ApplicationKey, found: list[tuple[SLOPolicy, tuple[PolicyMessage, ...]]]) -> Resolution:
    if len(found) > 1:
        return Conflict(key, tuple(sorted(policy_key(policy) for policy, _ in found)))
    policy, messages = found[0]
    return Invalid(policy_key(policy), messages) if messages else policy


def matching_applications(
    policy: SLOPolicy, applications: Iterable[Application], rules: MatchingRules | None = None
) -> tuple[Application, ...]:
    """The applications that a policy guards: those that it names or selects, and that it may guard."""
    rules = rules or MatchingRules()
    allowed = [each for each in applications if rules.allows(policy, each.key)]
    reference = policy.spec.application
    if reference is None:
        return ()
    if reference.selector is not None:
        wanted = set(reference.selector.match_labels.items())
        return tuple(each for each in allowed if wanted <= set(each.labels) and _named(reference.namespace, each))
    named = [each for each in allowed if each.key.name == reference.name]
    if reference.namespace is not None:
        return tuple(each for each in named if each.key.namespace == reference.namespace)
    own = tuple(each for each in named if each.key.namespace == policy.metadata.namespace)
    return own or tuple(each for each in named if each.key.namespace == rules.default_namespace)


def _named(namespace: str | None, application: Application) -> bool:
    return namespace is None or application.key.namespace == namespace


def check_matches(
    policy: SLOPolicy, applications: Iterable[Application], rules: MatchingRules | None = None
) -> tuple[PolicyMessage, ...]:
    """What is wrong with a policy for the applications that it matches; empty: nothing."""
    rules, known = rules or MatchingRules(), tuple(applications)
    messages = []
    for index, objective in enumerate(policy.spec.objectives):
        said = _told_apart(objective.indicator, known, rules)
        if said:
            location = ("spec", "objectives", index, "indicator")
            remedy = 'put {{application}} in a label\'s value, for example {app="{{application}}"}'
            path = f"spec.objectives[{index}].indicator"
            messages.append(PolicyMessage(path, f"{objective.name}: {said}", remedy, location))
    return tuple(messages)


def _told_apart(indicator: Indicator, applications: Iterable[Application], rules: MatchingRules) -> str:
    """Why an indicator cannot judge these applications, or an empty text."""
    known = tuple(applications)
    if _names_tell_apart(indicator, known, rules):
        known = known[:1]
    seen: dict[Indicator, ApplicationKey] = {}
    for each in known:
        try:
            rendered = render_indicator(
                indicator,
                application=each.key.name,
                namespace=rules.destination(each.key),
                cluster=rules.cluster,
            )
        except DeclarationError as error:
            return f"for {each.key}: {error}"
        if rendered in seen:
            return f"{seen[rendered]} and {each.key} would be judged by the same series"
        seen[rendered] = each.key
    return ""


def _names_tell_apart(indicator: Indicator, applications: tuple[Application, ...], rules: MatchingRules) -> bool:
    """Whether it need be rendered for one of them only, being another for each: thousands are not rendered for nothing.

    A text with one template, however often, is another for every value of it. A backtick in a value is looked at by itself.
    """
    names = {each.key.name for each in applications}
    values = (*names, *(rules.destination(each.key) for each in applications), rules.cluster)
    if len(names) < len(applications) or any("`" in each for each in values):
        return False
    try:
        return any(template_names(text) == {"application"} for _, text in texts_of(indicator))
    except DeclarationError:
        return False
