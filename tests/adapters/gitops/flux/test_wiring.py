"""The settings decide what deploys in the cluster."""

from typing import Any

import pytest

from controller.adapters.gitops.argocd.source import ArgoCDSource
from controller.adapters.gitops.combined import CombinedSource
from controller.adapters.gitops.flux.source import FluxSource
from controller.app.cluster import _deployer
from controller.settings import Settings
from tests.fakes.manual_clock import ManualClock


@pytest.mark.parametrize(
    ("deployers", "kind"),
    [(("argocd",), ArgoCDSource), (("flux",), FluxSource), (("flux", "argocd"), CombinedSource), ((), type(None))],
)
def test_what_deploys_follows_from_the_settings(deployers: tuple[str, ...], kind: type) -> None:
    """One of them, both as one, or none."""
    api: Any = None
    settings = Settings.model_validate({"cluster": {"deployers": deployers}})
    assert type(_deployer(settings, api, ManualClock())) is kind
