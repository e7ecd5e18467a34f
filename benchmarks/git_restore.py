"""Verdict to pushed restore, against clone + revert + push in the same run.

A repository of 20,000 commits over 10,000 files; in each round somebody else commits, a bad commit follows, and both
ways undo it: Rollguard's (fetch into the kept mirror, inspect, build, push) and what a script would do (clone, revert,
push). Goals: at most 0.3 s, and at least 20 times faster. Run: ``python -m benchmarks.git_restore``.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.against_script import WHO, Comparison, Steps, by_clone, run
from controller.adapters.repository import GitRepository
from controller.core.application import Revision
from controller.core.git import CommitIdentity, PushResult, RestoreRequest
from tests.servers.git import GitRemote, run_git

GOAL_SECONDS = 0.3
GOAL_RATIO = 20.0
FILES_OF_APP = 20
PATH = "apps/app-0007"
MANIFEST = """apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: 2
  template:
    spec:
      containers:
        - name: main
          image: registry.example.com/{name}:{version}
"""


def history(commits: int, files: int) -> Iterator[bytes]:
    """A stream for ``git fast-import``."""
    names = [f"apps/app-{n // FILES_OF_APP:04}/manifest-{n % FILES_OF_APP:02}.yaml" for n in range(files)]
    for number in range(commits):
        text = f"Change {number}".encode()
        yield b"commit refs/heads/main\n"
        yield b"committer Ann <ann@example.com> %d +0000\n" % (1_600_000_000 + 60 * number)
        yield b"data %d\n%s\n" % (len(text), text)
        for name in names if number == 0 else [names[number * 7919 % files]]:
            body = MANIFEST.format(name=name.rpartition("/")[2].removesuffix(".yaml"), version=number).encode()
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(body), body)


def make_remote(folder: Path, commits: int, files: int) -> GitRemote:
    """The repository, packed as a server keeps it."""
    remote = GitRemote(folder)
    run_git("fast-import", "--quiet", feed=b"".join(history(commits, files)), cwd=folder)
    run_git("repack", "-adq", cwd=folder)
    return remote


def deploy_bad(remote: GitRemote, number: int) -> tuple[str, str]:
    """Somebody else's commit after the bad one; returns last good and the bad revision."""
    good = remote.head()
    stamp = 1_800_000_000 + 1000 * number
    body = MANIFEST.format(name="manifest-00", version=f"bad-{number}")
    bad = remote.commit({f"{PATH}/manifest-00.yaml": body, f"{PATH}/new.yaml": body}, "Deploy", at=stamp)
    remote.commit({"apps/app-0011/manifest-03.yaml": body}, "Another team's change", at=stamp + 60)
    return good, bad


def restore(repository: GitRepository, good: str, bad: str) -> Steps:
    """Rollguard's way; seconds of each step."""
    begin = time.perf_counter()
    facts = repository.inspect(RestoreRequest("main", (PATH,), Revision(good), Revision(bad)))
    inspected = time.perf_counter()
    assert facts.tree is not None
    commit = repository.build(
        parent=facts.head, tree=facts.tree, message="Roll back\n", identity=CommitIdentity(), at=1_900_000_000
    )
    built = time.perf_counter()
    outcome = repository.push(commit, "main", facts.head)
    end = time.perf_counter()
    assert outcome.result is PushResult.PUSHED, outcome
    return {"inspect": inspected - begin, "build": built - inspected, "push": end - built, "all": end - begin}


def ours(remote: GitRemote, repository: GitRepository, number: int) -> Steps:
    """Rollguard's way, in one round."""
    return restore(repository, *deploy_bad(remote, number))


def script(remote: GitRemote, folder: Path, number: int) -> float:
    """Clone, revert, push; seconds."""
    _, bad = deploy_bad(remote, number)

    def revert(copy: Path) -> None:
        run_git(*WHO, "revert", "--no-edit", bad, cwd=copy)

    return by_clone(remote, folder, revert)


if __name__ == "__main__":
    compared = Comparison(
        ours, script, "verdict to pushed restore", "clone + revert + push", GOAL_SECONDS, GOAL_RATIO
    )
    sys.exit(run(__doc__, make_remote, compared))
