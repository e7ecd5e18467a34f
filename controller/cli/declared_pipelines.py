"""The pipelines that are declared: in the directory of the policies, and in the cluster where that keeps the state.

Invariant: as `rollguard run` reads them. One that cannot be used ends the command, with what to mend: nothing is told of
half of the declarations.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.common import chosen
from controller.cli.failures import CommandError
from controller.core.application import ApplicationKey
from controller.core.promotion.pipeline import PromotionPipeline
from controller.settings import Settings

Declared = dict[ApplicationKey, PromotionPipeline]
PoliciesFolder = Annotated[
    Path | None,
    typer.Option(
        "--policies",
        help="Directory with the pipelines. With state in a cluster they are read there, and these beside them. "
        "Otherwise ./policies.",
    ),
]
DEFAULT_POLICIES = Path("policies")


def declared_pipelines(settings: Settings, policies: Path | None) -> Declared:
    """All of them, by name.

    Raises:
        CommandError: there is no such directory, or one of them cannot be used.
    """
    from controller.app.policies import read_pipelines  # noqa: PLC0415  knows every room, and is only needed here

    in_cluster = settings.store.kubernetes is not None
    folder = policies if policies is not None or in_cluster else DEFAULT_POLICIES
    found, broken = _in_cluster(settings) if in_cluster else ([], [])
    if folder is not None:
        if not folder.is_dir():
            raise CommandError(
                f"--policies {folder}: there is no such directory; name the one that holds the pipelines"
            )
        in_files, broken_files = read_pipelines(folder)
        found, broken = [*found, *in_files], [*broken, *(each.message for each in broken_files)]
    if broken:
        raise CommandError("\n".join(broken))
    return {each.key: each for each in sorted(found, key=lambda each: each.key)}


def named_pipeline(text: str, declared: Declared) -> PromotionPipeline:
    """The one that is called so.

    Raises:
        CommandError: none is, or several are.
    """
    return declared[chosen(text, declared, what="pipeline")]


def _in_cluster(settings: Settings) -> tuple[list[PromotionPipeline], list[str]]:
    from controller.adapters.kubernetes.resources import PROMOTION_PIPELINES  # noqa: PLC0415  slow to load
    from controller.adapters.policies.cluster import declared_object  # noqa: PLC0415
    from controller.app.connection import connect  # noqa: PLC0415

    api, _ = connect(settings)
    documents: list[dict[str, Any]] = []
    for namespace in settings.cluster.watch_namespaces or (None,):
        documents.extend(api.list(PROMOTION_PIPELINES, namespace).items)
    listed = [declared_object(each, PROMOTION_PIPELINES, PromotionPipeline) for each in documents]
    found = [each.declared for each in listed if each.declared is not None]
    return found, [f"{each.name}: {each.message}" for each in listed if each.declared is None]
