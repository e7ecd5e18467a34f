"""How far deployments are, told from recorded shapes of Applications."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.gitops.argocd.memory import Memory
from controller.adapters.gitops.argocd.progress import Progress, progress
from controller.adapters.gitops.argocd.reading import seen_application
from controller.adapters.gitops.argocd.sources import application_of
from tests.adapters.gitops.argocd.objects import (
    NOON,
    SOURCE,
    URL,
    A,
    B,
    C,
    R,
    application,
    at,
    deployed,
    entry,
    operation_state,
    running,
)

Told = list[tuple[str, str, float]]


def look(memory: Memory | None, document: dict[str, Any], now: float = 60.0) -> Progress:
    seen = seen_application(document)
    return progress(memory, seen, application_of(seen).source, None, NOON + now)


def told(result: Progress) -> Told:
    return [(each.phase.value, each.revision, each.at - NOON) for each in result.reports]


def story(documents: Iterable[dict[str, Any]], now: float = 60.0) -> Told:
    """All that is told of an Application that changes so."""
    memory, heard = None, []
    for document in documents:
        result = look(memory, document, now)
        memory = result.memory
        heard += told(result)
    return heard


def after(document: dict[str, Any], now: float = 60.0) -> Told:
    """What is told of it by one who has seen A live."""
    return story([running(), document], now)[1:]


BEGINNING = {"history": [entry(3, A, -86400.0)], "health": {"status": "Healthy"}, "reconciledAt": at(-30)}
PENDING = {"sync": {"revision": B, "source": SOURCE}}


# --- first sight -------------------------------------------------------------------------------------------------


def test_what_has_run_for_long_is_healthy() -> None:
    """Of what was deployed long ago only that it is healthy is told, as of then."""
    assert story([running()]) == [("Healthy", A, -86395.0)]


def test_what_is_not_healthy_at_first_sight_is_started() -> None:
    """What is live and not healthy is told Started, and Healthy when it is."""
    sick = running(health={"status": "Degraded"})
    assert story([sick]) == [("Started", A, -86400.0)]
    assert story([sick, running()]) == [("Started", A, -86400.0), ("Healthy", A, -86395.0)]


def test_what_began_lately_is_told_with_its_start() -> None:
    """What was deployed while nobody looked is told from its beginning, each commit of the last hour."""
    several = deployed(C, history=[entry(3, A, -86400.0), entry(4, B, -600.0), entry(5, C, 0.0)])
    assert story([several]) == [("Started", B, -600.0), ("Started", C, 0.0), ("Healthy", C, 8.0)]


def test_nothing_is_told_of_what_was_never_deployed() -> None:
    """An Application without history or operation has deployed nothing."""
    assert story([application(), application(sync={"status": "OutOfSync", "revision": A})]) == []


def test_what_was_live_before_the_application_is_told() -> None:
    """Put over objects that are there already an Application is Synced without a sync: told once, and not when it moves."""
    bare = {"health": {"status": "Healthy", "lastTransitionTime": at(5.0)}, "reconciledAt": at(6.0)}
    first = application(sync={"status": "Synced", "revision": A}, **bare)
    moved = application(sync={"status": "Synced", "revision": C}, **bare)
    assert story([first, moved, deployed(B, 20.0, history=[entry(0, B, 20.0)])]) == [
        ("Healthy", A, 5.0),
        ("Started", B, 20.0),
        ("Healthy", B, 28.0),
    ]
    assert look(None, first).reports[0].only


def test_the_same_is_told_after_a_restart() -> None:
    """The times come from the Application, so that what is told again is the same."""
    first = story([running(), deployed()])
    assert story([deployed()], now=3000.0) == [each for each in first if each[1] == B]


def test_another_uid_is_another_application() -> None:
    """A name that was given to another Application is told from the beginning."""
    assert story([running(), running(metadata={"uid": "two"})]) == [("Healthy", A, -86395.0)] * 2


# --- a new revision ----------------------------------------------------------------------------------------------


def test_it_begins_with_the_operation() -> None:
    """A revision is told Started as of the start of the operation that applies it."""
    state = operation_state("Running", B, 0.0)
    assert after(application(**BEGINNING, operation=PENDING, operationState=state)) == [("Started", B, 0.0)]


def test_it_begins_before_its_result_is_there() -> None:
    """An automated operation names its commit at once."""
    state = operation_state("Running", B, 0.0)
    del state["syncResult"]
    assert after(application(**BEGINNING, operation=PENDING, operationState=state)) == [("Started", B, 0.0)]


def test_a_branch_is_no_revision() -> None:
    """An operation by hand names a branch until it is resolved: that is waited for."""
    state = operation_state("Running", "main", 0.0)
    assert after(application(**BEGINNING, operation=PENDING, operationState=state)) == []


def test_it_is_healthy_when_all_is_over() -> None:
    """Succeeded, in the history, healthy, and compared afterwards."""
    assert after(deployed()) == [("Started", B, 0.0), ("Healthy", B, 8.0)]


def test_it_is_healthy_as_of_its_end_where_health_never_changed() -> None:
    """Where pods were never seen unready, the deployment's own end counts."""
    assert after(deployed(health={"status": "Healthy", "lastTransitionTime": at(-9000)}))[-1] == ("Healthy", B, 1.0)


@pytest.mark.parametrize("health", ["Progressing", "Degraded", "Suspended", "Missing", "Unknown", ""])
def test_no_other_health_is_healthy(health: str) -> None:
    """Only Healthy is healthy."""
    assert after(deployed(health={"status": health})) == [("Started", B, 0.0)]


@pytest.mark.parametrize(
    "unlike",
    [
        {"operation": PENDING},
        {"history": [entry(3, A, -86400.0)]},
        {"operationState": operation_state("Running", B, 0.0)},
        {"reconciledAt": at(0.0)},
        {"reconciledAt": None},
    ],
    ids=["another operation is asked for", "not in the history", "under way", "compared before", "never compared"],
)
def test_it_is_not_healthy_before(unlike: dict[str, Any]) -> None:
    """Health from before the end of the operation, or while another one comes, is not trusted."""
    assert after(deployed(**unlike)) == [("Started", B, 0.0)]


def test_a_comparison_in_the_same_second_is_trusted_where_it_saw_the_revision() -> None:
    """Times are whole seconds: what was Synced with the new revision was live; what was OutOfSync may have been before."""
    same = {"reconciledAt": at(1.0)}
    assert after(deployed(**same))[-1] == ("Healthy", B, 8.0)
    assert after(deployed(**same, sync={"status": "OutOfSync", "revision": B})) == [("Started", B, 0.0)]
    assert after(deployed(**same, sync={"status": "Synced", "revision": A})) == [("Started", B, 0.0)]


def test_a_comparison_is_asked_for_where_none_comes() -> None:
    """Argo CD compares by itself after an operation; where it has not, it is asked, with growing pauses."""
    stale = deployed(reconciledAt=at(0.0))
    first = look(look(None, running()).memory, stale, 10.0)
    assert (first.refresh, first.again_at) == (False, NOON + 15.0)
    assert look(first.memory, stale, 12.0).refresh is False
    second = look(first.memory, stale, 15.0)
    assert (second.refresh, second.again_at) == (True, NOON + 25.0)
    assert look(second.memory, stale, 20.0).refresh is False
    assert look(second.memory, stale, 25.0).refresh is True


def test_a_comparison_in_the_same_second_is_asked_for_again_at_once() -> None:
    """The one that comes by itself was too early to be trusted."""
    early = deployed(reconciledAt=at(1.0), sync={"status": "OutOfSync", "revision": B})
    assert look(look(None, running()).memory, early).refresh


def test_without_a_history_the_operation_tells() -> None:
    """``revisionHistoryLimit: 0`` keeps no entries."""
    bare = deployed(history=[], spec={"revisionHistoryLimit": 0})
    assert after(bare) == [("Started", B, 0.0), ("Healthy", B, 8.0)]


def test_what_was_missed_is_told_from_the_history() -> None:
    """Where a deployment came and went between two looks, its history entry tells of it."""
    later = deployed(C, 20.0, history=[entry(3, A, -86400.0), entry(4, B, 0.0), entry(5, C, 20.0)])
    assert after(later) == [("Started", B, 0.0), ("Started", C, 20.0), ("Healthy", C, 28.0)]


def test_a_history_that_was_cut_tells_the_same() -> None:
    """Ids rise though old entries go."""
    assert after(deployed(history=[entry(40, B, 0.0)])) == [("Started", B, 0.0), ("Healthy", B, 8.0)]


def test_going_back_is_a_deployment() -> None:
    """A person's rollback applies an older commit: told like any other."""
    back = deployed(A, 100.0, history=[entry(3, A, -86400.0), entry(4, B, 0.0), entry(5, A, 100.0)])
    assert story([running(), deployed(), back], 200.0)[-2:] == [("Started", A, 100.0), ("Healthy", A, 108.0)]


# --- what is no deployment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sync",
    [
        {"dryRun": True},
        {"resources": [{"kind": "Deployment", "name": "checkout"}]},
        {"autoHealAttemptsCount": 1},
        {"manifests": ["{}"]},
    ],
    ids=["dry run", "partial", "self-heal", "local files"],
)
def test_other_syncs_are_silent(sync: dict[str, Any]) -> None:
    """Neither of the revision that is live nor of another one is anything told."""
    for revision in (A, B):
        state = operation_state("Succeeded", revision, 0.0, sync=sync)
        assert after(running(operationState=state)) == []


def test_a_resync_is_silent() -> None:
    """A person syncs the same revision: the history repeats it."""
    again = deployed(A, 0.0, history=[entry(3, A, -86400.0), entry(4, A, 0.0)])
    assert after(again) == []


def test_a_self_heal_before_it_was_healthy_does_not_hide_that_it_is() -> None:
    """The self-heal's operation takes the place of the deployment's: the history still tells."""
    begun = deployed(health={"status": "Progressing"})
    healing = operation_state("Succeeded", B, 20.0, sync={"autoHealAttemptsCount": 1, "resources": [{"kind": "X"}]})
    healed = deployed(operationState=healing, reconciledAt=at(30.0))
    assert story([running(), begun, healed])[-2:] == [("Started", B, 0.0), ("Healthy", B, 8.0)]


def test_an_unrelated_commit_is_silent() -> None:
    """What is compared moves on with every commit of the repository."""
    assert after(running(sync={"status": "Synced", "revision": B}, reconciledAt=at(5.0))) == []


def test_what_a_window_holds_up_begins_when_it_is_let_through() -> None:
    """An operation that waits for a sync window has applied nothing yet."""
    held = operation_state("Running", B, 0.0, message="Sync operation blocked by sync window")
    waits = application(**BEGINNING, operation=PENDING, operationState=held)
    goes = application(**BEGINNING, operation=PENDING, operationState=operation_state("Running", B, 0.0))
    memory = look(look(None, running()).memory, waits, 5.0).memory
    assert told(look(memory, waits, 30.0)) == []
    assert told(look(memory, goes, 30.0)) == [("Started", B, 30.0)]


# --- what fails --------------------------------------------------------------------------------------------------


def failed(**more: Any) -> dict[str, Any]:
    state = operation_state("Failed", B, 0.0, message="no such kind") | more
    return running(operationState=state, sync={"status": "OutOfSync", "revision": B}, reconciledAt=at(5.0))


def settled(document: dict[str, Any], revision: str) -> dict[str, Any]:
    return document | {"status": document["status"] | {"sync": {"status": "Synced", "revision": revision}}}


def test_a_failed_sync_is_told_with_its_message() -> None:
    """Failed without a retry: at its end, in Argo CD's words."""
    result = look(look(None, running()).memory, failed(), 60.0)
    assert told(result) == [("Started", B, 0.0), ("Failed", B, 1.0)]
    assert result.reports[-1].message == "no such kind"


def test_a_retry_is_no_failure() -> None:
    """Running with an end is waiting to be tried again."""
    state = operation_state("Running", B, 0.0, finished=5.0, message="Retrying attempt #1")
    waiting = running(operationState=state, operation=PENDING)
    assert after(waiting) == [("Started", B, 0.0)]
    operation = look(look(None, running()).memory, waiting).delivery.operation
    assert operation is not None
    assert (operation.revision, operation.retrying) == (B, True)


def test_a_retry_with_another_revision_begins_when_it_is_seen() -> None:
    """``retry.refresh`` goes on with the branch's head under the old start."""
    begun = running(operationState=operation_state("Running", B, 0.0), operation=PENDING)
    moved = running(operationState=operation_state("Running", C, 0.0), operation=PENDING)
    assert story([running(), begun, moved], 60.0)[1:] == [("Started", B, 0.0), ("Started", C, 60.0)]


def test_a_later_success_of_what_failed_is_healthy() -> None:
    """A person syncs the same commit again, and it works."""
    assert story([running(), failed(), deployed(B, 40.0)])[-2:] == [("Failed", B, 1.0), ("Healthy", B, 48.0)]


def test_a_revert_of_what_was_never_applied_is_healthy() -> None:
    """Argo CD finds live what the revert says, and syncs nothing: told once, as of when it is seen."""
    reverted = settled(failed(), R)
    assert story([running(), failed(), reverted, reverted])[3:] == [("Healthy", R, 60.0)]
    assert look(look(None, failed()).memory, reverted).reports[0].only


def test_an_unrelated_commit_makes_up_for_no_failed_hook() -> None:
    """Where all was applied and the hook after it failed, what is live stays failed."""
    hook = {"kind": "Job", "name": "smoke", "syncPhase": "PostSync", "hookPhase": "Failed"}
    broken = failed(syncResult={"revision": B, "source": SOURCE, "resources": [hook]})
    assert story([running(), broken, settled(broken, R)])[-1] == ("Failed", B, 1.0)
    applied = [settled(failed(), B), settled(failed(), R), settled(failed(), C), settled(failed(), R)]
    assert story([running(), *applied])[-1] == ("Failed", B, 1.0)


def test_a_comparison_from_before_the_failure_settles_nothing() -> None:
    """What was compared before the operation ended may be the older commit: another comparison is asked for."""
    early = running(operationState=operation_state("Failed", B, 0.0), reconciledAt=at(1.0))  # Synced with A
    result = look(look(None, running()).memory, early)
    assert told(result)[-1] == ("Failed", B, 1.0)
    assert result.refresh


# --- several sources, and rendered ones --------------------------------------------------------------------------

CHART = {"repoURL": "https://charts.example.com", "chart": "checkout", "targetRevision": "1.2.3"}
VALUES = {"repoURL": URL, "targetRevision": "main", "ref": "values"}


def test_of_several_sources_the_one_that_moves_is_told() -> None:
    """Each has its revision; the guarded one's is the commit."""
    sources = [{**CHART, "helm": {"valueFiles": ["$values/env/shop.yaml"]}}, VALUES]
    what = {"revisions": ["1.2.3", B], "sources": sources}
    state = operation_state("Running", B, 0.0) | {"syncResult": what}
    document = application(spec={"sources": sources}, operationState=state, operation={"sync": what})
    assert story([document]) == [("Started", B, 0.0)]


def test_a_pinned_source_of_the_same_repository_is_passed_over() -> None:
    """Of two sources of one repository the one on the branch is told."""
    sources = [{"repoURL": URL, "path": "chart", "targetRevision": "refs/tags/one"}, VALUES | {"path": "env"}]
    what = {"revisions": [A, B], "sources": sources}
    state = operation_state("Running", B, 0.0) | {"syncResult": what}
    document = application(spec={"sources": sources}, operationState=state, operation={"sync": what})
    assert story([document]) == [("Started", B, 0.0)]


def test_of_rendered_manifests_the_dry_commit_is_told() -> None:
    """What is deployed is the hydrated commit; what people wrote is the dry one."""
    spec = {
        "source": None,
        "sourceHydrator": {
            "drySource": {"repoURL": URL, "path": "dry", "targetRevision": "main"},
            "syncSource": {"targetBranch": "env/shop", "path": "shop"},
        },
    }
    hydrated = {"lastSuccessfulOperation": {"drySHA": C, "hydratedSHA": B}}
    assert story([deployed(spec=spec, sourceHydrator=hydrated)]) == [("Started", C, 0.0), ("Healthy", C, 8.0)]
    assert story([deployed(spec=spec)]) == []
    moved = {"lastSuccessfulOperation": {"drySHA": R, "hydratedSHA": B}}
    assert len(story([deployed(spec=spec, sourceHydrator=hydrated), deployed(spec=spec, sourceHydrator=moved)])) == 2


def test_of_what_a_person_merges_the_merged_commit_is_told() -> None:
    """With ``hydrateTo`` the deployed commit is the merge's: nobody knows a dry one of it."""
    spec = {
        "source": None,
        "sourceHydrator": {
            "drySource": {"repoURL": URL, "path": "dry", "targetRevision": "main"},
            "syncSource": {"targetBranch": "env", "path": "shop"},
            "hydrateTo": {"targetBranch": "env-next"},
        },
    }
    hydrated = {"lastSuccessfulOperation": {"drySHA": C, "hydratedSHA": R}}
    assert story([deployed(spec=spec, sourceHydrator=hydrated)]) == [("Started", B, 0.0), ("Healthy", B, 8.0)]


# --- whatever comes ----------------------------------------------------------------------------------------------

_PHASES = st.sampled_from(["Running", "Terminating", "Failed", "Error", "Succeeded"])
_STATES = st.builds(
    lambda phase, revision, started, sync: operation_state(phase, revision, started, sync=sync),
    _PHASES,
    st.sampled_from([A, B, C]),
    st.integers(-50, 50),
    st.sampled_from([{}, {"dryRun": True}, {"autoHealAttemptsCount": 2}]),
)
_DOCUMENTS = st.builds(
    lambda state, history, sync, health, compared, pending: application(
        operationState=state,
        history=[entry(number, revision, number * 10.0) for number, revision in enumerate(history)],
        sync=sync,
        health={"status": health, "lastTransitionTime": at(0.0)},
        reconciledAt=at(compared),
        operation=PENDING if pending else None,
    ),
    _STATES,
    st.lists(st.sampled_from([A, B, C]), max_size=4),
    st.builds(dict, status=st.sampled_from(["Synced", "OutOfSync"]), revision=st.sampled_from([A, B, C])),
    st.sampled_from(["Healthy", "Progressing", "Degraded"]),
    st.integers(-60, 60),
    st.booleans(),
)


@given(st.lists(_DOCUMENTS, min_size=1, max_size=6))
def test_nothing_is_healthy_without_having_begun(documents: list[dict[str, Any]]) -> None:
    """Of whatever an Application goes through: who looks twice hears once, and what fails or is healthy had begun."""
    memory, begun = None, set()
    for document in documents:
        result = look(memory, document)
        for report in result.reports:
            begun |= {report.revision} if report.phase == "Started" or report.only else set()
            assert report.revision in begun or memory is None
        again = look(result.memory, document)
        assert again.reports == ()
        assert again.delivery == result.delivery
        memory = result.memory


@given(st.lists(_DOCUMENTS, min_size=1, max_size=4))
def test_nothing_is_healthy_while_health_is_not(documents: list[dict[str, Any]]) -> None:
    """No story makes an Application healthy that Argo CD does not call so, or while an operation is asked for."""
    memory = None
    for document in documents:
        result = look(memory, document)
        sick = document["status"]["health"]["status"] != "Healthy" or "operation" in document
        assert not (sick and any(each.phase == "Healthy" for each in result.reports))
        memory = result.memory


# --- charts of a registry ----------------------------------------------------------------------------------------

REGISTRY = "https://charts.example.com"


def chart_source(target: str = "1.2.3", values: str = "tag: one") -> dict[str, Any]:
    return {"repoURL": REGISTRY, "chart": "checkout", "targetRevision": target, "helm": {"values": values}}


def charted(
    version: str, started: float, source: dict[str, Any], before: tuple[str, dict[str, Any]]
) -> dict[str, Any]:
    """After an older deployment: a version of a chart was synced, is healthy, and was compared afterwards."""
    sync = {"sync": {"revision": version, "source": source}}
    return deployed(
        version,
        started,
        spec={"source": source},
        history=[entry(3, before[0], -86400.0, before[1]), entry(4, version, started, source)],
        operationState=operation_state(
            "Succeeded", version, started, syncResult={"revision": version, "source": source}, **sync
        ),
    )


def test_versions_of_a_chart_are_deployments() -> None:
    """The version that was resolved, whatever range was asked for; values that the Application holds tell it apart too."""
    ranged, other = chart_source("^1.2"), chart_source("^1.2", "tag: two")
    memory, reports = None, []
    for document in (
        charted("1.2.4", 0.0, ranged, ("1.2.3", ranged)),
        charted("1.2.4", 100.0, other, ("1.2.4", ranged)),
        charted("1.2.4", 200.0, ranged, ("1.2.4", other)),
    ):
        result = look(memory, document, now=300.0)
        memory, reports = result.memory, reports + list(result.reports)
    phases = [each.phase.value for each in reports]
    assert phases == ["Started", "Healthy"] * 3
    assert [each.revision.partition("@")[0] for each in reports] == ["1.2.4"] * 6
    first, second, third = (each for each in reports if each.phase.value == "Healthy")
    assert first.revision != second.revision
    assert first.content is not None
    assert first.content != second.content
    assert (first.revision, first.content) == (third.revision, third.content), "somebody went back"


@pytest.mark.parametrize("revision", ["^1.2", "1.x", "1.2.*", ">=1", "1 - 2", ""])
def test_a_range_is_no_version(revision: str) -> None:
    """What was compared may name what was asked for: it is told when it is known what that came to."""
    source = chart_source()
    assert story([charted(revision, 0.0, source, (revision, source))]) == []


@pytest.mark.parametrize("source", [None, chart_source()])
def test_a_commit_is_no_version_of_a_chart(source: dict[str, Any] | None) -> None:
    """An Application whose source was just taken away, or made a chart, still tells the commit that was deployed."""
    document = deployed(A)
    document["spec"]["source"] = source
    assert look(None, document, now=300.0).reports == ()


def test_an_artifact_is_told_by_its_digest() -> None:
    """Its manifests lie in a registry; so does their revision."""
    source = {"repoURL": "oci://registry.example.com/shop", "path": ".", "targetRevision": "latest"}
    digest = "sha256:" + "e" * 64
    (report,) = look(None, charted(digest, -7200.0, source, (digest, source)), now=60.0).reports
    assert report.revision.startswith(f"{digest}@")


def test_of_git_the_repository_knows_better_what_a_commit_deploys() -> None:
    """A report of a commit carries no content: paths and bases are found out in Git."""
    assert [each.content for each in look(None, running()).reports] == [None]
