"""What a controller stands on: where its state is kept, where policies and applications come from, whether it leads.

Invariant: nothing that differs between one machine and a cluster is known outside of a ``Ground``.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from controller.adapters.policies.signature import directory_signature
from controller.adapters.repository.cluster_secrets import ClusterSecrets
from controller.adapters.store import SqliteStore
from controller.app.policies import load_policies
from controller.core.application import Application, ApplicationKey
from controller.core.promotion.move import Move
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Approval, Progress
from controller.core.state import Rollout
from controller.core.step import Step
from controller.ports.gitops import ClusterSource
from controller.ports.store import Store
from controller.runtime.policy_watch import Policies
from controller.settings import Settings, SettingsError


class Election(Protocol):
    """Who of several controllers acts."""

    @property
    def lost(self) -> threading.Event:
        """Set once this one led and does so no more."""
        ...

    def acquire(self, stop: threading.Event) -> bool:
        """Stand by until this one leads; False: ``stop`` was set before."""
        ...

    def leads(self, margin: float = 0.0) -> bool:
        """Whether this one does, and still will in ``margin`` seconds."""
        ...


@dataclass(slots=True)
class Ground:
    """The parts that a controller stands on."""

    store: Store
    home: Path
    """Folder for mirrors and deployments."""
    signature: Callable[[], object]
    """Another value whenever a policy has changed."""
    load: Callable[[Sequence[Application]], Policies]
    """Reads the policies, and says what guards each application."""
    cluster: ClusterSource | None = None
    election: Election | None = None
    """None: it is alone."""
    stand_by: Callable[[], None] = field(default=lambda: None)
    """Begin to read what is large, before this one leads; returns at once."""
    begin: Callable[[], None] = field(default=lambda: None)
    """Begin to watch what the parts need; called once this one leads."""
    end: Callable[[], None] = field(default=lambda: None)
    heard: Callable[[Step, Rollout], None] = field(default=lambda _step, _before: None)
    """Hears of every step, with the rollout before it."""
    secrets: ClusterSecrets | None = None
    """Argo CD's repository Secrets, where some may be used."""
    tend: Callable[[Iterable[Rollout]], None] = field(default=lambda _rollouts: None)
    """Called every few seconds with all rollouts; returns soon."""
    tend_pipelines: Callable[[Iterable[tuple[PromotionPipeline, Progress]]], None] = field(
        default=lambda _pipelines: None
    )
    """Called every few seconds with all pipelines and how far they are; returns soon."""
    approvals: Callable[[ApplicationKey], Sequence[Approval]] | None = None
    """Approvals of a pipeline that something vouches for; None: whoever may write the store is believed."""
    moved: Callable[[ApplicationKey, Move], None] = field(default=lambda _pipeline, _move: None)
    """Hears of every move of a pipeline."""

    def leads(self) -> bool:
        """Whether Git may be written now, with time enough left for a push."""
        return self.election is None or self.election.leads(PUSH_MARGIN)


PUSH_MARGIN = 2.0
"""Seconds of leadership that must be left when a push begins; the lease outlasts it by more than a push may take."""


def on_this_machine(settings: Settings, policies: Path | None) -> Ground:
    """State in one SQLite file, policies in a directory.

    Raises:
        SettingsError: the settings keep no state on this machine, or no policies are named.
        StoreError: the store cannot be opened, or another controller uses it.
    """
    path = settings.store.sqlite
    if path is None or policies is None:
        raise SettingsError(("store.sqlite: name a file; and name the directory of the policies with --policies",))
    store = SqliteStore(path)
    store.acquire_controller_lock()
    return Ground(
        store=store,
        home=store.path.parent,
        signature=lambda: directory_signature(policies),
        load=lambda applications: load_policies(settings, policies, applications),
    )
