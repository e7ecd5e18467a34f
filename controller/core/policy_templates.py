"""One policy for many applications: what ``{{application}}``, ``{{namespace}}`` and ``{{cluster}}`` stand for.

Invariant: an indicator that comes out has no templates left, and selects by exactly the values that were given.
"""

from collections.abc import Mapping
from typing import TypeVar

from controller.core.declared import Declared
from controller.core.indicators import Indicator, texts_of
from controller.core.policy import Control, PolicySpec
from controller.core.promql_text import fill_in, template_names

_Part = TypeVar("_Part", bound=Declared)


def render_indicator(indicator: Indicator, *, application: str, namespace: str, cluster: str) -> Indicator:
    """Fill in an indicator's templates.

    Args:
        indicator: as the policy declares it.
        application: name of the application.
        namespace: the namespace that the application deploys into.
        cluster: name of the cluster, as the settings have it.

    Raises:
        DeclarationError: a value cannot stand where the template stands.
    """
    return _rendered(indicator, {"application": application, "namespace": namespace, "cluster": cluster})


def render_control(control: Control, *, application: str, namespace: str, cluster: str) -> Indicator:
    """A control's ratio as an indicator, with its templates filled in."""
    indicator = Indicator(ratio=control.indicator.ratio)
    return render_indicator(indicator, application=application, namespace=namespace, cluster=cluster)


def _rendered(part: _Part, values: Mapping[str, str]) -> _Part:
    changed: dict[str, object] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, Declared):
            changed[name] = _rendered(value, values)
        elif name in {"metric", "query"} and value is not None:
            changed[name] = fill_in(value, values)
    return part.model_copy(update=changed)


def uses_templates(spec: PolicySpec) -> bool:
    """Whether any objective or control of a policy uses a template."""
    parts: list[Declared] = [each.indicator for each in spec.objectives]
    parts.extend(each.indicator for each in spec.controls)
    return any(template_names(text) for part in parts for _, text in texts_of(part))
