"""Keeping up with objects through everything that can happen to a watch."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from controller.adapters.kubernetes import transport
from controller.adapters.kubernetes.errors import ApiUnavailable
from controller.adapters.kubernetes.feed import LATEST_RETRY, MOST_PATIENCE, Feed
from controller.adapters.kubernetes.resources import CONFIG_MAPS
from controller.adapters.kubernetes.watch import Key, ListWatch
from controller.app import SystemClock
from tests.adapters.kubernetes.hostile import Answer, HostileServer, answer, lines
from tests.cluster.stack.processes import until


def thing(name: str, value: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop", "resourceVersion": version}, "data": {"value": value}}


def listed(*things: dict[str, Any], version: str = "10") -> Answer:
    return answer({"metadata": {"resourceVersion": version}, "items": list(things)})


class Heard:
    """Notes what was told, and waits for it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | None]] = []
        self._changed = threading.Condition()

    def __call__(self, key: Key, value: str | None) -> None:
        with self._changed:
            self.told.append((key[1], value))
            self._changed.notify_all()

    def wait(self, *wanted: tuple[str, str | None]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: set(wanted) <= set(self.told), 10.0), self.told


@contextmanager
def watching(
    server: HostileServer, heard: Heard, namespaces: tuple[str, ...] = ("shop",)
) -> Iterator[ListWatch[str]]:
    watch = ListWatch(
        server.api(timeout=5.0), CONFIG_MAPS, namespaces=namespaces, keep=value_of, changed=heard, clock=SystemClock()
    )
    watch.start()
    try:
        yield watch
    finally:
        server.close()
        watch.stop()


def value_of(document: Mapping[str, Any]) -> str | None:
    value = document["data"]["value"]
    return None if value == "unwanted" else str(value)


def test_list_then_watch(server: HostileServer) -> None:
    """What is listed is told, then what changes, from the list's version on."""
    heard = Heard()
    changes = lines(
        {"type": "MODIFIED", "object": thing("a", "two", "11")},
        {"type": "ADDED", "object": thing("c", "three", "12")},
        {"type": "DELETED", "object": thing("b", "one", "13")},
        hold=True,
    )
    server.answers.extend([listed(thing("a", "one"), thing("b", "one")), changes])
    with watching(server, heard) as watch:
        heard.wait(("a", "two"), ("c", "three"), ("b", None))
        assert dict(watch.items()) == {("shop", "a"): "two", ("shop", "c"): "three"}
        assert server.asked[1].query["resourceVersion"] == "10"
        assert watch.problem == ""


def test_a_watch_goes_on_from_the_last_bookmark(server: HostileServer) -> None:
    """The next watch begins where the bookmark said, without another list."""
    heard = Heard()
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "99"}}}
    server.answers.extend([listed(thing("a", "one")), lines(bookmark)])
    with watching(server, heard):
        assert server.wait_asked(3)
    assert [each.query.get("resourceVersion") for each in server.asked[:3]] == [None, "10", "99"]


GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}


@pytest.mark.parametrize("gone", [lines(GONE), answer({"message": "too old"}, 410)])
def test_410_lists_again_and_tells_the_differences(server: HostileServer, gone: Answer) -> None:
    """As an event or as a status: a new list, of which only what differs is told, deletions too."""
    heard = Heard()
    server.answers.extend(
        [listed(thing("a", "one"), thing("b", "one")), gone, listed(thing("b", "one"), thing("c", "x"))]
    )
    with watching(server, heard) as watch:
        heard.wait(("a", None), ("c", "x"))
        assert heard.told.count(("b", "one")) == 1
        assert set(watch.items()) == {("shop", "b"), ("shop", "c")}


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(parts=(b"garbage\n",)),
        Answer(parts=(b'{"type": "ADDED", "obj',)),
        Answer(parts=(b'{"type": "MODIFIED"}\n',)),
        lines({"type": "ERROR", "object": {"code": 500, "message": "etcd"}}),
        Answer(parts=(b'{"type":',), cut=True),
        Answer(raw=b"\x00\x01\x02"),
        answer({"message": "overloaded"}, 429),
    ],
)
def test_whatever_breaks_a_watch_it_goes_on(server: HostileServer, trouble: Answer) -> None:
    """Garbage, half a line, an ERROR, a cut connection: what comes afterwards is heard, nothing is told twice."""
    heard = Heard()
    after = lines({"type": "MODIFIED", "object": thing("a", "two", "11")}, hold=True)
    server.answers.extend([listed(thing("a", "one")), trouble, after])
    with watching(server, heard):
        heard.wait(("a", "two"))
    assert heard.told == [("a", "one"), ("a", "two")]


def test_a_list_that_fails_tells_nothing(server: HostileServer) -> None:
    """No list, no deletions: a server that answers nonsense does not make everything seem gone."""
    heard = Heard()
    trouble = [lines(GONE), answer({"kind": "nonsense"}), answer({}, 503)]
    server.answers.extend([listed(thing("a", "one")), *trouble, listed(thing("a", "one"), thing("b", "one"))])
    with watching(server, heard):
        heard.wait(("b", "one"))
    assert heard.told == [("a", "one"), ("b", "one")]


def test_an_object_that_cannot_be_read_hides_no_other(server: HostileServer) -> None:
    """Objects without what is expected are passed over; one that becomes unwanted counts as gone."""
    heard = Heard()
    broken = [{"metadata": {"name": "x", "namespace": "shop"}}, {"metadata": "?"}, thing("u", "unwanted")]
    changes = lines({"type": "MODIFIED", "object": thing("a", "unwanted", "11")}, hold=True)
    server.answers.extend([listed(*broken, thing("a", "one")), changes])
    with watching(server, heard):
        heard.wait(("a", None))
    assert heard.told == [("a", "one"), ("a", None)]


def test_an_object_that_can_no_longer_be_read_is_not_gone(server: HostileServer) -> None:
    """In a change and in a new list: it stays as it was known, until it can be read again or is really deleted."""
    heard = Heard()
    spoilt = {"metadata": {"name": "a", "namespace": "shop", "resourceVersion": "11"}}
    server.answers.extend(
        [
            listed(thing("a", "one"), thing("b", "one")),
            lines({"type": "MODIFIED", "object": spoilt}, GONE),
            listed(spoilt, thing("b", "two")),
            lines({"type": "MODIFIED", "object": thing("a", "three", "12")}, {"type": "DELETED", "object": spoilt}),
        ]
    )
    with watching(server, heard):
        heard.wait(("a", None))
    assert heard.told == [("a", "one"), ("b", "one"), ("b", "two"), ("a", "three"), ("a", None)]


def test_a_watch_that_hears_nothing_is_renewed(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bookmark for too long: the connection may be dead, so another watch goes on from the same place."""
    monkeypatch.setattr(transport, "SILENT_WATCH", 0.1)
    heard = Heard()
    after = lines({"type": "MODIFIED", "object": thing("a", "two", "11")}, hold=True)
    server.answers.extend([listed(thing("a", "one")), Answer(hold=True, parts=(b"\n",)), after])
    with watching(server, heard):
        heard.wait(("a", "two"))
    assert [each.query.get("resourceVersion") for each in server.asked[:3]] == [None, "10", "10"]


def test_a_huge_line_ends_the_watch_and_not_the_process(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line beyond its bound is not held; the watch goes on."""
    monkeypatch.setattr(transport, "LARGEST_LINE", 1000)
    heard = Heard()
    after = lines({"type": "MODIFIED", "object": thing("a", "two", "11")}, hold=True)
    server.answers.extend([listed(thing("a", "one")), Answer(parts=(b"x" * 2000,), hold=True), after])
    with watching(server, heard):
        heard.wait(("a", "two"))


def test_a_server_that_ends_each_watch_at_once_is_not_asked_in_a_tight_loop(server: HostileServer) -> None:
    """It counts as an interruption, with a pause and a reason."""
    heard = Heard()
    server.answers.extend([listed(thing("a", "one")), lines(), lines()])
    with watching(server, heard) as watch:
        assert server.wait_asked(3)
        until(lambda: "at once" in watch.problem, "the reason")
        assert server.wait_asked(4)


def test_what_was_wrong_is_over_once_the_server_answers(server: HostileServer) -> None:
    """A quiet watch that is open has no problem, though nothing was heard on it yet."""
    heard = Heard()
    quiet = Answer(parts=(b"\n",), hold=True)
    server.answers.extend([listed(thing("a", "one")), answer({"message": "overloaded"}, 503), quiet])
    with watching(server, heard) as watch:
        assert server.wait_asked(3)
        until(lambda: not watch.problem, "the end of the problem")


def test_pauses_grow_are_spread_and_begin_anew(server: HostileServer) -> None:
    """Up to half a minute; a server may ask for longer, though not for ever; what was heard ends the series."""
    feed = Feed("shop")
    pauses = [feed.failed("things", ApiUnavailable("down")) for _ in range(20)]
    assert all(0.1 <= each <= LATEST_RETRY for each in pauses)
    assert pauses[0] < 1.0
    assert min(pauses[10:]) >= LATEST_RETRY / 2
    assert len(set(pauses)) == 20
    assert feed.failed("things", ApiUnavailable("down", 1e9)) == MOST_PATIENCE
    feed.heard("11")
    assert feed.failed("things", ApiUnavailable("down")) < 1.0


def test_stopping_ends_the_threads_and_the_telling(server: HostileServer) -> None:
    """A watch that waits for the server is cut off; afterwards nothing is told."""
    heard = Heard()
    server.answers.extend([listed(thing("a", "one")), Answer(parts=(b"\n",), hold=True)])
    with watching(server, heard) as watch:
        heard.wait(("a", "one"))
        assert server.wait_asked(2)
        watch.stop(within=10.0)
        assert not any(each.is_alive() for each in watch._threads)


def test_each_namespace_is_kept_up_with_alone(server: HostileServer) -> None:
    """One list for each; a new list of one leaves the objects of the others; one thing is told at a time."""
    told: list[tuple[Key, str | None]] = []
    inside = threading.Lock()
    done = threading.Event()

    def changed(key: Key, value: str | None) -> None:
        assert inside.acquire(blocking=False)
        told.append((key, value))
        inside.release()
        if (("cart", "x"), None) in told and len(told) == 5:
            done.set()

    names = ("shop", "cart")
    first = {each: [thing("x", "one"), thing("y", "one")] for each in names}
    for each in names:
        for one in first[each]:
            one["metadata"]["namespace"] = each
    server.script = {
        "/api/v1/namespaces/shop/configmaps": [listed(*first["shop"])],
        "/api/v1/namespaces/cart/configmaps": [listed(*first["cart"]), lines(GONE), listed(first["cart"][1])],
    }
    watch = ListWatch(
        server.api(), CONFIG_MAPS, namespaces=names, keep=value_of, changed=changed, clock=SystemClock()
    )
    watch.start()
    assert done.wait(10.0)
    assert set(watch.items()) == {("shop", "x"), ("shop", "y"), ("cart", "y")}
    server.close()
    watch.stop()


def test_who_hears_may_wait_for_a_thread_that_asks(server: HostileServer) -> None:
    """What is known can be asked for from another thread while a change is taken in."""
    asked: list[int] = []
    done = threading.Event()

    def changed(key: Key, value: str | None) -> None:
        other = threading.Thread(target=lambda: asked.append(len(watch.items())))
        other.start()
        other.join()
        done.set()

    server.answers.append(listed(thing("a", "one")))
    watch = ListWatch(
        server.api(), CONFIG_MAPS, namespaces=("shop",), keep=value_of, changed=changed, clock=SystemClock()
    )
    watch.start()
    assert done.wait(10.0)
    assert asked == [1]
    server.close()
    watch.stop()


def test_a_listener_that_fails_stops_nothing(server: HostileServer) -> None:
    """A fault in taking one change in does not end the watch."""
    heard = Heard()

    def fails_once(key: Key, value: str | None) -> None:
        heard(key, value)
        if value == "one":
            raise RuntimeError("a fault")

    changes = lines({"type": "MODIFIED", "object": thing("a", "two", "11")}, hold=True)
    server.answers.extend([listed(thing("a", "one")), changes])
    watch = ListWatch(
        server.api(), CONFIG_MAPS, namespaces=("shop",), keep=value_of, changed=fails_once, clock=SystemClock()
    )
    watch.start()
    heard.wait(("a", "two"))
    server.close()
    watch.stop()


def test_what_is_wrong_is_said(server: HostileServer) -> None:
    """While it cannot be watched, the reason is there to be read, and ``wait_listed`` says no."""
    heard = Heard()
    server.answers.extend([answer({"message": "not for you"}, 403), answer({"message": "not for you"}, 403)])
    with watching(server, heard) as watch:
        assert server.wait_asked(2)
        assert "not for you" in watch.problem
        assert not watch.wait_listed(0.01)
        assert watch.listed_at is None
