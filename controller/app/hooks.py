"""The hooks that the settings open: deployment reports, webhooks of forges, notifications of registries."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from starlette.routing import Route

from controller.adapters.forge.webhooks import ForgeWebhooks
from controller.core.application import ApplicationKey, GitSource
from controller.core.forge_links import ForgeKind
from controller.core.git import canonical_url
from controller.core.hints import RepositoryHint
from controller.core.promotion.hinting import concerns_stages, concerns_trigger, image_concerns_trigger
from controller.core.promotion.image import ImageHint
from controller.core.state import Rollout
from controller.ports.clock import Clock
from controller.ports.gitops import SyncReport
from controller.runtime.promoter import Promoter
from controller.settings import Settings
from controller.web.forge_hook import ForgeHook, ForgeSender, forge_route
from controller.web.hooks import DeployedHook, deployed_route
from controller.web.registry_hook import RegistryHook, registry_route

_Shared: TypeAlias = tuple[ForgeKind, Path]


def hook_routes(
    settings: Settings,
    clock: Clock,
    seen: Callable[[str], None],
    *,
    receive: Callable[[SyncReport], int],
    promoter: Promoter,
    rollout: Callable[[ApplicationKey], Rollout | None],
) -> Iterator[Route]:
    """The routes of the hooks that are open.

    Args:
        settings: say which are.
        clock: for timestamps and rates.
        seen: told each secret, so that logs can mask it.
        receive: stores a deployment report, returns its receipt.
        promoter: takes hints.
        rollout: what is known of an application.
    """
    deployed, registry = settings.server.deployed_hook, settings.server.registry_hook
    if deployed is not None:
        known = {each.key for each in settings.applications if each.reported is not None}
        yield deployed_route(DeployedHook(deployed.secret_file, known.__contains__, receive, clock, seen=seen))
    if registry is not None:
        yield registry_route(RegistryHook(registry.token_file, _of_images(promoter), clock, seen=seen))
    senders = senders_of(settings, clock, seen)
    if senders:
        yield forge_route(ForgeHook(senders, _of_repositories(promoter, rollout), clock))


def senders_of(settings: Settings, clock: Clock, seen: Callable[[str], None]) -> list[ForgeSender]:
    """Repositories by the kind of their forge and the file of their webhooks' secret."""
    places: dict[_Shared, set[str]] = {}
    for each in settings.repositories:
        if each.forge is not None and each.forge.webhook_secret_file is not None:
            shared = (ForgeKind(each.forge.type), each.forge.webhook_secret_file)
            places.setdefault(shared, set()).add(canonical_url(each.url))
    return [
        ForgeSender(kind, frozenset(urls), ForgeWebhooks(kind, file, clock, seen=seen))
        for (kind, file), urls in places.items()
    ]


def _of_images(promoter: Promoter) -> Callable[[tuple[ImageHint, ...]], None]:
    return lambda hints: promoter.hint(lambda pipeline: image_concerns_trigger(pipeline, hints))


def _of_repositories(
    promoter: Promoter, rollout: Callable[[ApplicationKey], Rollout | None]
) -> Callable[[RepositoryHint], None]:
    def source_of(key: ApplicationKey) -> GitSource | None:
        found = rollout(key)
        return found.application.source if found is not None else None

    def hint(heard: RepositoryHint) -> None:
        promoter.hint(
            lambda pipeline: concerns_trigger(pipeline, heard),
            lambda pipeline: concerns_stages(pipeline, heard, source_of),
        )

    return hint
