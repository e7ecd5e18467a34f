"""A version to be deployed to the commit that deploys it, against clone + edit + push in the same run.

A repository of 20,000 commits over 10,000 files (that of ``git_restore``); in each round somebody else commits, then
both ways write a new tag into one file: Rollguard's (fetch into the kept mirror, read, edit, build, push) and what a
script would do (clone, edit, commit, push). Goals: at most 0.5 s, so that a second is enough with the webhook and the
decision before it, and at least 10 times faster. Run: ``python -m benchmarks.promotion_write``.
"""

import sys
import time
from pathlib import Path

from benchmarks.against_script import WHO, Comparison, Steps, by_clone, run
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


def promote(repository: GitRepository, manifests: ManifestText, tag: str) -> Steps:
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


def ours(remote: GitRemote, repository: GitRepository, number: int) -> Steps:
    """Rollguard's way, in one round."""
    somebody_else(remote, number)
    return promote(repository, ManifestText(), f"v1.{number}.0")


def script(remote: GitRemote, folder: Path, number: int) -> float:
    """Clone, edit, commit, push; seconds."""
    somebody_else(remote, number)
    tag = f"v1.{number}.0"

    def edit(copy: Path) -> None:
        path = copy / FILE
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(f"          image: {IMAGE}:{tag}\n" if "image:" in line else line for line in lines))
        run_git(*WHO, "commit", "-qam", f"Promote {tag}", cwd=copy)

    return by_clone(remote, folder, edit)


def somebody_else(remote: GitRemote, number: int) -> None:
    """A commit elsewhere, so that there is something to fetch."""
    body = MANIFEST.format(name="manifest-03", version=f"other-{number}")
    remote.commit({"apps/app-0011/manifest-03.yaml": body}, "Another team's change", at=1_800_000_000 + 60 * number)


if __name__ == "__main__":
    compared = Comparison(ours, script, "version to pushed commit", "clone + edit + push", GOAL_SECONDS, GOAL_RATIO)
    sys.exit(run(__doc__, make_remote, compared))
