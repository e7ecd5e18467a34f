"""Plain Git as a source of syncs, on a real repository and with real commands."""

import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from controller.core.application import ApplicationKey, Revision
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.store import StoreUnavailable
from tests.adapters.gitops.parts import alive, wait_until
from tests.adapters.gitops.shop import DEPLOY, KEY, PATH, Shop


def test_a_first_revision_is_deployed_and_reported(shop: Shop) -> None:
    """The command runs in an export of the application's paths alone; Started and Healthy carry the content."""
    shop.write("elsewhere/file", "x")
    revision = shop.commit("v1", DEPLOY + '; find . -type f | sort > "$TRACES/files"')
    shop.start()
    started, healthy = shop.reports.wait_for("Started", "Healthy")
    content = shop.repository.content(revision, [PATH])
    assert started == SyncReport(KEY, revision, SyncPhase.STARTED, started.at, content)
    assert healthy == SyncReport(KEY, revision, SyncPhase.HEALTHY, healthy.at, content)
    assert started.at <= healthy.at
    assert shop.trace("live") == "v1"
    assert shop.trace("files").split() == [f"./{PATH}/deploy.sh", f"./{PATH}/manifest"]


def test_a_new_content_is_a_new_sync(shop: Shop) -> None:
    """Each change of the application's content is one sync; the last export is kept, older ones go."""
    first = shop.commit("v1", DEPLOY)
    shop.start()
    shop.reports.wait_for("Started", "Healthy")
    second = shop.commit("v2")
    reports = shop.reports.wait_for("Started", "Healthy", "Started", "Healthy")
    assert [report.revision for report in reports] == [first, first, second, second]
    assert shop.trace("live") == "v2"
    (export,) = (shop.workdir / "exports").iterdir()
    assert (export / PATH / "manifest").read_text() == "v2"


def test_a_change_elsewhere_is_no_sync(shop: Shop) -> None:
    """A commit that leaves the application's paths as they were runs nothing and reports nothing."""
    shop.commit("v1", DEPLOY)
    shop.start()
    shop.reports.wait_for("Started", "Healthy")
    shop.write("apps/other/manifest", "y")
    shop.commit()
    shop.looks()
    assert shop.reports.phases == ["Started", "Healthy"]
    assert len(shop.runs) == 1


def test_a_revert_is_a_sync(shop: Shop) -> None:
    """Content that was live before, brought back by a new commit, is deployed like any other."""
    shop.commit("v1", DEPLOY)
    shop.start()
    shop.reports.wait_for("Started", "Healthy")
    shop.commit("v2")
    shop.reports.wait_for(*["Started", "Healthy"] * 2)
    reverted = shop.commit("v1")
    reports = shop.reports.wait_for(*["Started", "Healthy"] * 3)
    assert reports[-1].revision == reverted
    assert reports[-1].content == reports[0].content
    assert shop.trace("live") == "v1"


def test_a_failed_command_is_reported_and_tried_again(shop: Shop) -> None:
    """A failure is reported once, with its last words; the retry that succeeds is Healthy in the same sync."""
    shop.commit("v1", 'echo "no such cluster"; echo x >> "$TRACES/tries"; test -e "$TRACES/mended"')
    shop.start(interval=0.02)
    wait_until(lambda: len(shop.trace("tries")) > 2 * len("x\n"), "a third try")
    shop.wait_for_state("CommandFailed")
    _, failed = shop.reports.wait_for("Started", "Failed")
    assert "deploy.sh failed with exit code 1: no such cluster" in failed.message
    assert failed.content is not None
    assert "no such cluster" in shop.running[-1].status().message
    (shop.traces / "mended").touch()
    *_, healthy = shop.reports.wait_for("Started", "Failed", "Healthy")
    assert healthy.revision == failed.revision


def test_content_from_before_a_failure_is_deployed_again(shop: Shop) -> None:
    """A failed command may have done half of its work: going back to the version before is a sync."""
    shop.commit("v1", DEPLOY)
    shop.start(interval=0.2)
    shop.reports.wait_for("Started", "Healthy")
    shop.commit("v2", 'echo broken > "$TRACES/live"; exit 1')
    shop.reports.wait_for("Started", "Healthy", "Started", "Failed")
    shop.commit("v1", DEPLOY)
    shop.reports.wait_for("Started", "Healthy", "Started", "Failed", "Started", "Healthy")
    assert shop.trace("live") == "v1"


def test_a_command_that_hangs_is_ended(shop: Shop) -> None:
    """After its timeout a command has failed, and says so."""
    shop.commit("v1", "exec sleep 600")
    shop.start(timeout=0.3)
    _, failed = shop.reports.wait_for("Started", "Failed")
    assert "was ended after 0.3 s" in failed.message


def test_drift_is_undone_without_a_sync(shop: Shop) -> None:
    """What somebody changes by hand is put right by the next run, and no sync is reported."""
    shop.commit("v1", DEPLOY)
    shop.start(resync=0.1)
    shop.reports.wait_for("Started", "Healthy")
    (shop.traces / "live").write_text("changed by hand")
    wait_until(lambda: shop.trace("live") == "v1", "the undoing of drift")
    assert shop.reports.phases == ["Started", "Healthy"]
    assert len(set(shop.runs)) == 1


def test_drift_is_undone_in_a_fresh_export(shop: Shop) -> None:
    """A command that changes its own folder finds it as committed when it runs again."""
    shop.commit("v1", f'cat {PATH}/manifest >> "$TRACES/seen"; echo " spoilt" >> {PATH}/manifest')
    shop.start(resync=0.05)
    wait_until(lambda: len(shop.trace("seen")) >= len("v1v1v1"), "a third run")
    assert shop.trace("seen").startswith("v1v1v1")


def test_drift_that_cannot_be_undone_fails_no_sync(shop: Shop) -> None:
    """A failing re-run shows in the status; the deployed revision stays reported as Healthy."""
    shop.commit("v1", f'{DEPLOY}; test ! -e "$TRACES/down"')
    shop.start(resync=0.05)
    shop.reports.wait_for("Started", "Healthy")
    (shop.traces / "down").touch()
    shop.wait_for_state("CommandFailed")
    (shop.traces / "down").unlink()
    shop.wait_for_state("Synced")
    assert shop.reports.phases == ["Started", "Healthy"]


def test_nothing_runs_where_the_paths_are_gone(shop: Shop) -> None:
    """When the application's paths vanish, no command meets an empty folder (it might delete all there is)."""
    shop.commit("v1", DEPLOY)
    shop.start(resync=0.05)
    shop.reports.wait_for("Started", "Healthy")
    shop.git("rm", "-r", "--quiet", PATH)
    shop.write("README", "moved")
    shop.commit()
    shop.wait_for_state("NothingToDeploy")
    runs = len(shop.runs)
    shop.looks()
    assert len(shop.runs) == runs
    assert PATH in shop.running[-1].status().message


def test_refresh_wakes_it(shop: Shop) -> None:
    """A refresh is a look at Git now, however long the interval; one for another application is none."""
    shop.commit("v1", DEPLOY)
    reconciler = shop.start(interval=3600)
    shop.reports.wait_for("Started", "Healthy")
    shop.commit("v2")
    reconciler.refresh(ApplicationKey("shop", "other"))
    assert not reconciler._wake.is_set()
    reconciler.refresh(KEY)
    shop.reports.wait_for("Started", "Healthy", "Started", "Healthy")


def test_a_refresh_cuts_an_outdated_command_short(shop: Shop) -> None:
    """A restore does not wait for the bad version's hanging command: newer content ends it."""
    bad = shop.commit("bad", 'echo begun > "$TRACES/begun"; exec sleep 600')
    reconciler = shop.start(interval=3600)
    shop.wait_for_trace("begun")
    good = shop.commit("good", DEPLOY)
    reconciler.refresh(KEY)
    reports = shop.reports.wait_for("Started", "Started", "Healthy")
    assert [report.revision for report in reports] == [bad, good, good]


def test_a_refresh_stands_until_git_answers(shop: Shop) -> None:
    """A refresh that comes while Git is gone cuts the outdated command short once Git is back."""
    shop.commit("bad", 'echo begun > "$TRACES/begun"; exec sleep 600')
    reconciler = shop.start(interval=0.2)
    shop.wait_for_trace("begun")
    shop.commit("good", DEPLOY)
    away = shop.tree.with_name("away")
    shop.tree.rename(away)
    reconciler.refresh(KEY)
    shop.looks(1)
    away.rename(shop.tree)
    shop.reports.wait_for("Started", "Started", "Healthy")


def test_a_refresh_spares_a_command_that_is_up_to_date(shop: Shop) -> None:
    """A refresh that finds the content that is being deployed lets the command finish."""
    shop.commit("v1", 'echo begun >> "$TRACES/begun"; until test -e "$TRACES/go"; do sleep 0.02; done')
    reconciler = shop.start(interval=3600)
    shop.wait_for_trace("begun")
    shop.write("README", "elsewhere")
    shop.commit()
    looked = shop.repository.fetches
    reconciler.refresh(KEY)
    wait_until(lambda: shop.repository.fetches > looked, "a look during the run")
    (shop.traces / "go").touch()
    shop.reports.wait_for("Started", "Healthy")
    assert shop.trace("begun") == "begun\n"


def test_git_down_keeps_what_is_deployed(shop: Shop) -> None:
    """While Git is gone the state says so, in one log line; drift is undone still; then all goes on."""
    shop.commit("v1", DEPLOY)
    shop.start(resync=0.1, interval=0.02)
    shop.reports.wait_for("Started", "Healthy")
    shop.wait_for_state("Synced")
    away = shop.tree.with_name("away")
    with capture_logs() as logs:
        shop.tree.rename(away)
        shop.wait_for_state("GitUnavailable")
        (shop.traces / "live").write_text("changed by hand")
        wait_until(lambda: shop.trace("live") == "v1", "the undoing of drift")
        shop.looks(3)
        away.rename(shop.tree)
        shop.wait_for_state("Synced")
    assert [log["state"] for log in logs if log["event"] == "reconciler"] == ["GitUnavailable", "Synced"]
    shop.commit("v2")
    shop.reports.wait_for("Started", "Healthy", "Started", "Healthy")


def test_a_restart_reports_nothing_again(shop: Shop) -> None:
    """What was deployed before the restart is known after it: no run, no report, until something changes."""
    shop.commit("v1", DEPLOY)
    shop.start()
    shop.reports.wait_for("Started", "Healthy")
    shop.stop()
    shop.start()
    shop.wait_for_state("Synced")
    assert len(shop.runs) == 1
    shop.commit("v2")
    shop.reports.wait_for("Started", "Healthy", "Started", "Healthy")


def test_a_stop_in_the_middle_goes_on_at_the_next_start(shop: Shop) -> None:
    """A stop ends the running command and reports no failure; the same sync is finished afterwards."""
    shop.commit("v1", 'echo $$ > "$TRACES/begun"; until test -e "$TRACES/go"; do sleep 0.02; done')
    shop.start()
    command = int(shop.wait_for_trace("begun"))
    shop.stop()
    assert not alive(command)
    shop.reports.wait_for("Started")
    (shop.traces / "go").touch()
    shop.start()
    started, healthy = shop.reports.wait_for("Started", "Healthy")
    assert started.revision == healthy.revision


def test_what_is_known_to_be_live_is_no_sync(shop: Shop) -> None:
    """With a lost work folder, content equal to what the state knows as live is made sure of, and not reported."""
    live = shop.commit("v1", DEPLOY)
    shop.write("README", "elsewhere")
    shop.commit()
    shop.start(deployed=live)
    shop.wait_for_state("Synced")
    assert shop.runs == [live]
    assert shop.reports.phases == []


@pytest.mark.parametrize("deployed", ["f" * 40, "not a revision"])
def test_a_live_revision_that_git_does_not_know_counts_as_none(shop: Shop, deployed: str) -> None:
    """A revision that was force-pushed away is nothing to compare with: the head is deployed and reported."""
    shop.commit("v1", DEPLOY)
    shop.start(deployed=Revision(deployed))
    shop.reports.wait_for("Started", "Healthy")


def test_nothing_is_deployed_before_its_start_is_stored(shop: Shop) -> None:
    """While the store refuses the report, the command does not run; afterwards it does, in the same sync."""
    shop.commit("v1", DEPLOY)
    refused: list[SyncReport] = []
    release = threading.Event()

    def publish(report: SyncReport) -> None:
        if not release.is_set():
            refused.append(report)
            assert not shop.runs
            raise StoreUnavailable("database is locked")
        shop.reports(report)

    shop.start(publish, interval=0.02)
    wait_until(lambda: len(refused) >= 3, "a third try")
    shop.wait_for_state("StoreUnavailable")
    release.set()
    started, _ = shop.reports.wait_for("Started", "Healthy")
    assert set(refused) == {started}


@pytest.mark.parametrize("fatal", [0, 1, 2, 3])
def test_a_crash_at_any_report_tells_the_same_again(shop: Shop, fatal: int) -> None:
    """A process that ends right after any report was stored tells the same reports after its restart, none besides."""
    shop.commit("v1", 'echo x >> "$TRACES/tries"; test $(wc -l < "$TRACES/tries") -gt 1')

    class Crash(BaseException):
        """Ends the thread as a kill would."""

    def publish(report: SyncReport) -> None:
        shop.reports(report)
        if len(shop.reports.all) == fatal + 1:
            raise Crash

    first = shop.reconciler(interval=0.02)
    first._publish = publish
    try:
        while "Healthy" not in shop.reports.phases:
            first._wake.wait(first._look())
    except Crash:
        pass
    first._folder.close()
    shop.start(interval=0.02)
    shop.wait_for_state("Synced")
    told = list(dict.fromkeys(shop.reports.all))
    assert [report.phase.value for report in told] == ["Started", "Failed", "Healthy"]


def test_a_folder_that_somebody_removed_is_made_again(shop: Shop) -> None:
    """A work folder that is gone costs nothing but itself: the next change is deployed all the same."""
    shop.commit("v1", DEPLOY)
    shop.start()
    shop.reports.wait_for("Started", "Healthy")
    shop.wait_for_state("Synced")
    shop.workdir.rename(shop.root / "gone")
    shop.commit("v2")
    shop.reports.wait_for("Started", "Healthy", "Started", "Healthy")


def test_two_processes_do_not_deploy_at_once(shop: Shop) -> None:
    """A second reconciler in the same folder says so and waits; it takes over when the first has stopped."""
    shop.commit("v1", DEPLOY)
    first = shop.start()
    shop.reports.wait_for("Started", "Healthy")
    shop.start()
    shop.wait_for_state("FolderUnusable")
    first.stop()
    shop.wait_for_state("Synced")
    assert len(shop.runs) == 1


def test_something_unforeseen_does_not_end_it(shop: Shop) -> None:
    """An error that nobody thought of is logged once with its trace, and the application is deployed all the same."""
    shop.commit("v1", DEPLOY)
    failures = iter(range(2))

    def publish(report: SyncReport) -> None:
        if next(failures, None) is not None:
            raise ZeroDivisionError
        shop.reports(report)

    with capture_logs() as logs:
        shop.start(publish, interval=0.02)
        shop.reports.wait_for("Started", "Healthy")
    assert [log["event"] for log in logs].count("reconciler failed") == 1


def test_secrets_do_not_reach_a_committed_command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deploy script from the repository sees what it is told, and no token of the controller."""
    monkeypatch.setenv("ROLLGUARD_TOKEN", "canary-7f3a")
    revision = shop.commit("v1", 'env > "$TRACES/env"; echo "$ROLLGUARD_PATHS" > "$TRACES/paths"')
    shop.start()
    shop.reports.wait_for("Started", "Healthy")
    seen = dict(line.split("=", 1) for line in shop.trace("env").splitlines())
    assert "canary" not in shop.trace("env")
    assert seen["HOME"] == str(shop.workdir / "home")
    assert (seen["ROLLGUARD_NAMESPACE"], seen["ROLLGUARD_APPLICATION"]) == ("shop", "checkout")
    assert seen["ROLLGUARD_REVISION"] == revision
    assert shop.trace("paths") == f"{PATH}\n"


@pytest.mark.parametrize("target", ["{secret}", "../../../../../../etc", "folder/../../../../.."])
def test_a_link_that_leads_out_is_not_deployed(shop: Shop, tmp_path: Path, target: str) -> None:
    """A committed link to files of the controller fails the deployment, with the link's name; nothing is run."""
    (tmp_path / "secret").write_text("canary-7f3a")
    shop.write(f"{PATH}/manifest", "v1")
    stolen = shop.tree / PATH / "stolen"
    stolen.symlink_to(target.format(secret=tmp_path / "secret"))
    shop.commit(script=f'{DEPLOY}; cat {PATH}/stolen/* > "$TRACES/stolen" || true')
    shop.start()
    _, failed = shop.reports.wait_for("Started", "Failed")
    assert "cannot be deployed: the link 'apps/checkout/stolen' leads out" in failed.message
    assert shop.runs == []
    stolen.unlink()
    shop.commit()
    shop.reports.wait_for("Started", "Failed", "Started", "Healthy")


def test_a_command_outside_the_paths_is_explained(shop: Shop) -> None:
    """A script that lies beside the application's paths is not in the export: the failure says what to do."""
    shop.write("deploy.sh", "#!/bin/sh\n")
    shop.commit("v1")
    shop.start(command=("./deploy.sh",))
    _, failed = shop.reports.wait_for("Started", "Failed")
    assert "given relative to the repository's root and lie inside the application's paths" in failed.message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"command": ()}, "needs a command"),
        ({"interval": 0.0}, "interval"),
        ({"resync": 0.0}, "resync"),
        ({"run_as": "no-such-user"}, "there is no user no-such-user"),
    ],
)
def test_wrong_settings_are_refused_at_once(shop: Shop, options: dict, says: str) -> None:
    """What cannot work is refused when it is set up, with the application's name."""
    with pytest.raises(ValueError, match=says) as refused:
        shop.reconciler(**options)
    assert "shop/checkout" in str(refused.value)


def test_it_starts_once(shop: Shop) -> None:
    """A second start is a mistake of the caller; a stop without a start is none, nor a second stop."""
    shop.commit("v1", DEPLOY)
    reconciler = shop.start()
    with pytest.raises(RuntimeError, match="started before"):
        reconciler.start(shop.reports)
    reconciler.stop()
    reconciler.stop()
    shop.reconciler().stop()
