"""Several deployers as one: each application is asked of whoever told of it first."""

from collections.abc import Sequence

from controller.adapters.gitops.combined import CombinedSource
from controller.core.application import Application, ApplicationKey, GitSource, Revision
from controller.core.delivery import Delivery
from controller.ports.gitops import ClusterSource, Listener, SyncPhase, SyncReport

A, B, BOTH = (ApplicationKey("apps", name) for name in ("a", "b", "both"))
REVISION = Revision("a" * 40)


def application(key: ApplicationKey, branch: str) -> Application:
    return Application(key, GitSource("https://git.example.com/x.git", branch, (key.name,)))


class Deployer:
    """A source that tells what a test says."""

    def __init__(self, name: str, *keys: ApplicationKey) -> None:
        self.applications = [application(key, name) for key in keys]
        self.listener: Listener | None = None
        self.asked: list[str] = []

    def discover(self) -> Sequence[Application]:
        return self.applications

    def watch(self, listener: Listener) -> None:
        self.listener = listener
        for each in self.applications:
            listener.found(each)

    def refresh(self, application: ApplicationKey) -> None:
        self.asked.append(f"refresh {application}")

    def terminate(self, application: ApplicationKey, revision: Revision) -> bool:
        self.asked.append(f"terminate {application} {revision[:4]}")
        return True

    def sync(self, application: ApplicationKey, revision: Revision, reason: str) -> bool:
        self.asked.append(f"sync {application} {revision[:4]} {reason}")
        return True

    def stop(self) -> None:
        self.asked.append("stop")


class Ear:
    """Listens."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def found(self, application: Application) -> None:
        self.heard.append(f"found {application.key} {application.source.branch}")

    def gone(self, application: ApplicationKey) -> None:
        self.heard.append(f"gone {application}")

    def reported(self, report: SyncReport) -> None:
        self.heard.append(f"reported {report.application}")

    def delivery(self, application: ApplicationKey, delivery: Delivery) -> None:
        self.heard.append(f"delivery {application} {delivery.blocked}")


def made() -> tuple[CombinedSource, Deployer, Deployer, Ear]:
    """Two deployers that both have one application, watched."""
    first, second, ear = Deployer("first", A, BOTH), Deployer("second", BOTH, B), Ear()
    combined = CombinedSource([first, second])
    combined.watch(ear)
    return combined, first, second, ear


def test_it_is_a_source_of_a_cluster() -> None:
    """The loop knows it as one."""
    assert isinstance(CombinedSource([]), ClusterSource)


def test_applications_of_all_are_discovered_once() -> None:
    """Of two by one name, the first deployer's."""
    combined, *_ = made()
    assert [(each.key, each.source.branch) for each in combined.discover()] == [
        (A, "first"),
        (BOTH, "first"),
        (B, "second"),
    ]


def test_only_the_owner_of_an_application_is_heard() -> None:
    """Reports and deliveries of the other are dropped, and its end is no end."""
    _, first, second, ear = made()
    assert ear.heard == ["found apps/a first", "found apps/both first", "found apps/b second"]
    ear.heard.clear()
    for each in (second, first):
        assert each.listener is not None
        each.listener.reported(SyncReport(BOTH, REVISION, SyncPhase.HEALTHY, 1.0))
        each.listener.delivery(BOTH, Delivery(blocked=each.applications[0].source.branch))
        each.listener.gone(BOTH)
    assert ear.heard == ["reported apps/both", "delivery apps/both first", "gone apps/both"]


def test_each_is_asked_of_its_own() -> None:
    """What nobody has told of is asked of nobody."""
    combined, first, second, _ = made()
    combined.refresh(A)
    assert combined.sync(B, REVISION, "why")
    assert combined.terminate(BOTH, REVISION)
    unknown = ApplicationKey("apps", "unknown")
    combined.refresh(unknown)
    assert not combined.sync(unknown, REVISION, "why")
    assert not combined.terminate(unknown, REVISION)
    combined.stop()
    assert first.asked == ["refresh apps/a", "terminate apps/both aaaa", "stop"]
    assert second.asked == ["sync apps/b aaaa why", "stop"]
