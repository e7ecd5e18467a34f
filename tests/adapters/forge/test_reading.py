"""Whatever a forge answers: it is read, or it is a ForgeMalformed; nothing else is raised."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.forge.gitea_reading import is_submitted, read_note, read_review
from controller.adapters.forge.github_rules import rules_of
from controller.adapters.forge.gitlab_reading import read_approvals, read_merge_request, read_objections
from controller.adapters.forge.gitlab_reading import read_status as read_job
from controller.adapters.forge.limits import LONGEST, pause_asked, pause_due
from controller.adapters.forge.pulls import participants_of, read_pull, read_status
from controller.adapters.forge.refusals import words_of
from controller.core.forge import PullRequestState
from controller.ports.forge import ForgeMalformed

HEAD, TRIAL = "a" * 40, "b" * 40
PULL = {
    "number": 7,
    "state": "open",
    "title": "Title",
    "head": {"ref": "rollguard/x", "sha": HEAD, "repo": {"id": 1}},
    "base": {"ref": "main", "repo": {"id": 1}},
}
MERGE_REQUEST = {"iid": 7, "state": "opened", "source_branch": "x", "target_branch": "main", "sha": HEAD}
NAMES = sorted(
    {*PULL, *MERGE_REQUEST, "merged", "labels", "user", "login", "name", "commit", "author", "email", "created_at"}
    | {"approved_by", "username", "body", "system", "type", "parameters", "contexts", "required_status_checks", "id"}
    | {"required_pull_request_reviews", "protection", "protected", "required_signatures", "restrictions", "all"}
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.sampled_from([HEAD, "open", "2027-01-15"])
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=8), ANYTHING, st.booleans())
def test_nothing_but_malformed_is_raised(data: dict[str, Any], other: Any, whole: bool) -> None:
    """For anything that JSON can hold, also on top of what is right."""
    pull, request = (PULL | data, MERGE_REQUEST | data) if whole else (data, data)
    for read, given_ in ((read_pull, pull), (read_merge_request, request), (read_note, data)):
        with suppress(ForgeMalformed):
            read(given_)
    read_status(data)
    read_job(data)
    read_review(data)
    is_submitted(data)
    participants_of([data, other])
    list(read_approvals(data, [data], [data]))
    list(read_objections([data, other], [data]))
    rules_of("main", data, [data], other)
    words_of(other)


@given(
    st.sampled_from([200, 403, 429, 503]),
    st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-reset", "x-ratelimit-remaining", "ratelimit-reset"]),
        st.text(max_size=40) | st.integers().map(str) | st.just("Fri, 31 Dec 9999 23:59:59 -2400"),
    ),
    st.text(max_size=20),
)
def test_a_pause_is_bounded(status: int, headers: dict[str, str], said: str) -> None:
    """Whatever the headers hold: a second at least, an hour at most."""
    for pause in (pause_asked(status, headers, said, 1_800_000_000.0), pause_due(headers, 1_800_000_000.0)):
        assert pause is None or 1.0 <= pause <= LONGEST


@pytest.mark.parametrize("missing", ["number", "head", "base"])
def test_what_is_missing_is_named(missing: str) -> None:
    """The sentence names the field, and what may be wrong."""
    with pytest.raises(ForgeMalformed, match=rf"{missing}.*forge\.type"):
        read_pull({name: value for name, value in PULL.items() if name != missing})


def test_a_trial_merge_is_no_merge() -> None:
    """GitHub names a commit before the merge too: only what is merged was merged as something."""
    assert read_pull(PULL | {"merge_commit_sha": TRIAL}).merged_as is None
    merged = read_pull(PULL | {"merge_commit_sha": TRIAL, "state": "closed", "merged_at": "2027-01-15T08:00:00Z"})
    assert (merged.state, merged.merged_as) == (PullRequestState.MERGED, TRIAL)


def test_a_branch_elsewhere_is_a_fork() -> None:
    """Another repository, or one that was deleted since."""
    assert not read_pull(PULL).fork
    for repository in ({"id": 2}, None):
        assert read_pull(PULL | {"head": {"ref": "x", "sha": HEAD, "repo": repository}}).fork


def test_long_texts_are_cut() -> None:
    """A title of a megabyte does not travel on."""
    assert len(read_pull(PULL | {"title": "x" * 10**6, "body": "y" * 10**6}).title) == 1000
