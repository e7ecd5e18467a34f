"""A version to be deployed to the commit that deploys it, against clone + edit + push in the same run.

A repository of 20,000 commits over 10,000 files (that of ``git_restore``); in each round somebody else commits, then
both ways write a new tag into one file: Rollguard's (fetch into the kept mirror, read, edit, build, push) and what a
script would do (clone, edit, commit, push). Goals: at most 0.5 s, so that a second is enough with the webhook and the
decision before it, and at least 10 times faster. Run: ``python -m benchmarks.promotion_write``.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.git_restore import MANIFEST, PATH, make_remote
from controller.adapters.manifests import ManifestText
from controller.adapters.repository import GitRepository
from controller.core.git import CommitIdentity, PushResult
from controller.core.promotion.updates import Update
from tests.servers.git import GitRemote, run_git

GOAL_SECONDS = 0.5
GOAL_RATIO = 10.0
FILE = f"{PATH}/manifest-00.yaml"
UPDATE = Update.model_validate(
    {"file": FILE, "path": "spec.template.spec.containers[name=main].image", "value": "{{image}}:{{tag}}"}
)
IMAGE = "registry.example.com/manifest-00"


def promote(repository: GitRepository, manifests: ManifestText, tag: str) -> dict[str, float]:
    """Rollguard's way; seconds of each step."""
    begin = time.perf_counter()
    head = repository.fetch("main")
    fetched = time.perf_counter()
    body = repository.files(head, [FILE])[FILE]
    assert body is not None
    after = manifests.write(FILE, body, [UPDATE.edit({"image": IMAGE, "tag": tag})])
    written = repository.write(head, {FILE: after})
    assert written.changed == (FILE,)
    edited = time.perf_counter()
    commit = repository.build(
        parent=head, tree=written.tree, message=f"Promote {tag}\n", identity=CommitIdentity(), at=1_900_000_000
    )
    outcome = repository.push(commit, "main", head)
    end = time.perf_counter()
    assert outcome.result is PushResult.PUSHED, outcome
    return {"fetch": fetched - begin, "edit": edited - fetched, "push": end - edited, "all": end - begin}


def by_script(remote: GitRemote, folder: Path, tag: str) -> float:
    """Clone, edit, commit, push; seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.perf_counter()
    run_git("clone", "-q", remote.url, str(folder))
    path = folder / FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(f"          image: {IMAGE}:{tag}\n" if "image:" in line else line for line in lines))
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    run_git(*who, "commit", "-qam", f"Promote {tag}", cwd=folder)
    run_git("push", "-q", "origin", "HEAD:main", cwd=folder)
    return time.perf_counter() - begin


def somebody_else(remote: GitRemote, number: int) -> None:
    """A commit elsewhere, so that there is something to fetch."""
    body = MANIFEST.format(name="manifest-03", version=f"other-{number}")
    remote.commit({"apps/app-0011/manifest-03.yaml": body}, "Another team's change", at=1_800_000_000 + 60 * number)


def main() -> int:
    """Print the figures; 1 where a goal is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--commits", type=int, default=20_000)
    arguments.add_argument("--files", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        remote = make_remote(root / "remote.git", options.commits, options.files)
        repository, manifests = GitRepository(remote.url, mirror_root=root / "mirrors"), ManifestText()
        begin = time.perf_counter()
        repository.fetch("main")
        first = time.perf_counter() - begin
        ours, theirs = [], []
        for number in range(options.rounds):
            somebody_else(remote, 2 * number)
            ours.append(promote(repository, manifests, f"v1.{number}.0"))
            somebody_else(remote, 2 * number + 1)
            theirs.append(by_script(remote, root / "clone", f"v1.{number}.1"))
    return report(options.commits, options.files, first, ours, theirs)


def report(commits: int, files: int, first: float, ours: list[dict[str, float]], theirs: list[float]) -> int:
    """Medians, and whether the goals are met."""
    median = {step: statistics.median(each[step] for each in ours) for step in ours[0]}
    script = statistics.median(theirs)
    ratio = script / median["all"]
    print(f"{commits} commits, {files} files, median of {len(ours)} rounds")
    print(f"  first fetch into the mirror   {first:7.3f} s (once)")
    steps = ", ".join(f"{step} {seconds:.3f}" for step, seconds in median.items() if step != "all")
    print(
        f"  version to pushed commit      {median['all']:7.3f} s ({steps}); slowest {max(e['all'] for e in ours):.3f} s"
    )
    print(f"  clone + edit + push           {script:7.3f} s")
    print(f"  ratio                         {ratio:7.1f}")
    met = median["all"] <= GOAL_SECONDS and ratio >= GOAL_RATIO
    print(f"  goals: ≤ {GOAL_SECONDS} s and ≥ {GOAL_RATIO:.0f}×: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
