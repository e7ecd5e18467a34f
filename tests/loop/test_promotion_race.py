"""Many promotions into one branch at once, while somebody else pushes: none is lost, none is doubled."""

import threading
from pathlib import Path

from benchmarks.promotions import Installation
from tests.loop.site import until
from tests.servers.git import run_git
from tests.servers.registry import DockerRegistry

COUNT = 20


def notes_until(over: threading.Event, copy: Path) -> list[str]:
    """What a person pushes meanwhile, as people do: again on top of the others' where the branch has moved."""
    pushed: list[str] = []
    while not over.wait(0.3):
        (copy / "notes.md").write_text(f"{len(pushed)}\n")
        run_git("add", "notes.md", cwd=copy)
        run_git(
            "-c",
            "user.name=Ann",
            "-c",
            "user.email=ann@example.com",
            "commit",
            "-qm",
            f"Note {len(pushed)}",
            cwd=copy,
        )
        while not _pushed(copy):
            run_git("-c", "user.name=Ann", "-c", "user.email=ann@example.com", "pull", "-q", "--rebase", cwd=copy)
        pushed.append(f"Note {len(pushed)}")
    return pushed


def _pushed(copy: Path) -> bool:
    try:
        run_git("push", "-q", "origin", "HEAD:main", cwd=copy)
    except AssertionError:  # refused: somebody else was faster
        return False
    return True


def test_twenty_promotions_race_on_one_branch(tmp_path: Path) -> None:
    """Twenty new tags at once, and a person's pushes in between: each version is committed once, and no commit is lost."""
    with DockerRegistry(tmp_path) as registry:
        site = Installation(tmp_path, registry, COUNT)
        for name in site.names:
            site.push(name, "v1.0.0")
        site.start("60s")
        try:
            assert site.running is not None
            promoter = site.running.promoter
            until(lambda: all(progress.known for _, progress in promoter.pipelines()), "a first look at all")
            for name in site.names:
                site.push(name, "v1.1.0")
            over, pushed = threading.Event(), []
            copy = tmp_path / "copy"
            run_git("clone", "-q", site.remote.url, str(copy))
            person = threading.Thread(target=lambda: pushed.extend(notes_until(over, copy)))
            person.start()
            site.hint(set(site.names))
            try:
                until(lambda: len(site.promoted()) >= COUNT, "all of them", 120)
            finally:
                over.set()
                person.join()
        finally:
            site.stop()
    assert sorted(site.promoted()) == sorted(f"Promote {name} 1.1.0 to dev" for name in site.names)
    subjects = run_git("log", "--format=%s", "main", cwd=site.remote.folder).decode().splitlines()
    assert pushed
    assert [each for each in reversed(subjects) if each.startswith("Note ")] == pushed
    values = site.remote.files()
    assert all(b"tag: v1.1.0" in values[f"apps/{name}/values.yaml"] for name in site.names)
