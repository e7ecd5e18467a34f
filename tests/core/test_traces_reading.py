"""What may stand in a trace, and what is refused, with the line that it stands in."""

import json
from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.traces import LONGEST_LINE, TraceError, judge_trace, read_traces, recording
from tests.core.recordings import AVAILABILITY, Written, only

RATIO, TICK = AVAILABILITY, {"t": 15, "objective": "availability", "bad": 1, "total": 150}
MEMORY = {"name": "memory", "indicator": {"gauge": {"max": 0.9}}}
RESTARTS = {"name": "restarts", "indicator": {"events": {"maxPerHour": 2}}}
POLICY = {"objectives": [RATIO, MEMORY, RESTARTS], "controls": [{"name": "rest-of-shop"}]}
HEADER = {"trace": "case", "policy": POLICY, "interval": 15}


def dumped(*objects: Any) -> list[bytes]:
    """Each object as a line; bytes are lines already."""
    return [each if isinstance(each, bytes) else json.dumps(each).encode() + b"\n" for each in objects]


def refused(*objects: Any) -> TraceError:
    """The error that reading these lines ends with."""
    with pytest.raises(TraceError) as error:
        list(read_traces(dumped(*objects)))
    assert str(error.value).isprintable()
    return error.value


def tick(**more: Any) -> dict[str, Any]:
    """A good tick, changed; ``None`` takes a field away."""
    return {name: value for name, value in {**TICK, **more}.items() if value is not None}


def later(**more: Any) -> dict[str, Any]:
    return tick(t=30, **more)


MEMORY_TICK = {"t": 15, "objective": "memory", "value": 0.5}
BROKEN_TICKS: list[tuple[Any, str]] = [
    (tick(bad=-1), "bad is -1, and must be between 0 and"),
    (tick(bad=151), "151 bad of 150 events"),
    (tick(total=-1), "total is -1"),
    (tick(total=10**30), "total is 1000000"),
    (tick(total=1e16), "total is 1e+16"),
    (tick(t=4e9), "t is 4e+09, and must be between"),
    (tick(bad=True), "bad is true, and must be a number"),
    (tick(t="15"), 't is "15", and must be a number'),
    (tick(bad=[1]), "bad is [1], and must be a number"),
    (tick(bad=None), "bad is missing"),
    (tick(t=None), "t is missing"),
    (tick(objective=None), "a tick is of exactly one objective or control"),
    (tick(control="rest-of-shop"), "a tick is of exactly one objective or control"),
    (tick(objective="nobody"), 'the policy has no objective "nobody"; there is availability, memory, restarts'),
    (tick(objective="x\x1b[31m"), "the policy has no objective"),
    (tick(objective=["availability"]), "must be text"),
    (tick(totl=1), 'a tick has no field "totl"; did you mean total?'),
    (tick(version="newest"), 'version is "newest", and must be new or old'),
    (tick(version=["new"]), "must be new or old"),
    (tick(objective=None, control="rest-of-shop", version="new"), "a control has no version"),
    (tick(objective=None, control="other"), 'no control "other"'),
    (tick(partial="yes"), 'partial is "yes", and must be true or false'),
    (tick(failed="503"), "a failed tick has no bad"),
    (tick(failed="503", bad=None, total=None, partial=True), "a failed tick has no partial"),
    (tick(failed=True, bad=None, total=None), "failed is true, and must be text"),
    (tick(value=1), "ticks of ratio objectives have bad and total, not value"),
    (tick(objective="memory"), "ticks of gauge objectives have value, not bad"),
    ({**MEMORY_TICK, "value": "high"}, 'value is "high"'),
    ({"t": 15, "objective": "restarts", "events": -1}, "events is -1"),
    ({"t": 15, "objective": "restarts", "value": 1}, "ticks of events objectives have events, not value"),
    (b'{"t": 15, "objective": "availability", "bad": NaN, "total": 150}\n', "this is no JSON"),
    (b'{"t": 15, "objective": "availability", "bad": 1e999, "total": 1e999}\n', "bad is inf"),
    (b'{"t": 15, "t": 30, "objective": "availability", "bad": 1, "total": 2}\n', '"t" is given twice'),
    (
        b'{"t": 15, "objective": "availability", "bad": 1, "total": 2} {}\n',
        "this is no JSON: trailing characters at column",
    ),
    (b'{"t": 15, "objective": "availability", "bad": 1, "total": ' + b"1" * 5000 + b"}\n", "this is no JSON"),
    (b"\xff\xfe{}\n", "this is no JSON"),
    (b'{"t": 15, "objective": "\xff"}\n', "this is no JSON"),
    (b"[" * 100_000 + b"\n", "this is no JSON: recursion limit exceeded"),
    (b'{"a":' * 100_000 + b"\n", "this is no JSON: recursion limit exceeded"),
    (b"[1, 2]\n", "the line is no object"),
    (b"x" * (LONGEST_LINE + 1), "the line is longer than 1,048,576 bytes"),
    (b'"' + b"x" * 100 + b"\n", "this is no JSON"),
]


@pytest.mark.parametrize(("broken", "said"), BROKEN_TICKS, ids=lambda each: str(each)[:60])
def test_a_broken_tick_is_refused(broken: Any, said: str) -> None:
    """Nothing is guessed: the line is named, and what is wrong with it."""
    error = refused(HEADER, tick(t=-15), broken)
    assert error.line == 3
    assert said in error.problem


BROKEN_PAIRS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (later(), tick(), "time runs back: t is 15 after 30"),
    (later(), {**MEMORY_TICK}, "time runs back"),
    (tick(), tick(bad=0), "availability has a second tick at t 15"),
    (tick(version="new"), tick(version="new"), "availability has a second tick at t 15"),
    (tick(), tick(version="new"), "ticks with and without version at t 15"),
    (tick(version="old"), tick(), "ticks with and without version at t 15"),
    (tick(), tick(t=20), "that ticks of 15 s overlap"),
    (tick(version="old"), tick(t=20, version="old"), "that ticks of 15 s overlap"),
]


@pytest.mark.parametrize(("first", "second", "said"), BROKEN_PAIRS)
def test_ticks_that_contradict_each_other_are_refused(first: Any, second: Any, said: str) -> None:
    """Time never runs back, and no series has two ticks of one time."""
    error = refused(HEADER, first, second)
    assert (error.line, said in error.problem) == (3, True), error.problem


def header(**more: Any) -> dict[str, Any]:
    """A good header, changed; ``...`` takes a field away."""
    return {name: value for name, value in {**HEADER, **more}.items() if value is not ...}


def policy(**objective: Any) -> dict[str, Any]:
    """A header with one objective."""
    return header(policy={"objectives": [{**RATIO, **objective}]})


BROKEN_HEADERS: list[tuple[Any, str]] = [
    (header(trace=7), "trace is 7, and must be text"),
    (header(trace=""), "trace is"),
    (header(trace="x" * 2000), "longer than 1000 characters"),
    (header(policy=...), "the trace has no policy; add one to the header, or give --policy"),
    (header(policy=None), "policy: "),
    (header(policy=[]), "policy: must be a mapping"),
    (header(policy={"objectives": []}), "policy: objectives: is empty"),
    (header(policy={**POLICY, "modee": "Shadow"}), "policy: modee: no such field; did you mean mode?"),
    (policy(target="101"), "policy: objectives[0].target: "),
    (policy(target=None), "policy: objectives[0]: an objective with a ratio needs a target"),
    (policy(indicator={}), "policy: objectives[0].indicator: an indicator is exactly one of"),
    (policy(indicator={"ratio": {}, "latency": {}}), "ratio and latency are given"),
    (policy(indicator={"ratio": {"error": {}}}), "did you mean errors?"),
    (policy(indicator={"ratio": {"errors": {"metric": "x{"}, "total": {"metric": "y"}}}), "objectives[0].indicator"),
    (policy(indicator={"ratio": {"errors": 5}}), "objectives[0].indicator.ratio.errors: must be a mapping"),
    (header(interval=...), "interval is missing"),
    (header(interval=0), "interval is 0, and must be between 1 and 3,600"),
    (header(interval="15s"), 'interval is "15s", and must be a number'),
    (header(interval=900), "a window of 30m holds fewer than 4 ticks of 900 s"),
    (header(syncs=[]), "syncs must be a list"),
    (header(syncs=75), "syncs must be a list"),
    (header(syncs=[75]), "the first of syncs is 75, and must be 0"),
    (header(syncs=[0, 75, 75]), "syncs must rise"),
    (header(syncs=[0, None]), "a start in syncs is none, and must be a number"),
    (header(healthy_at=-1), "healthy_at is -1"),
    (header(healthy_at="never"), 'healthy_at is "never"'),
    (header(until=-5), "until is -5"),
    (header(until=None), "until is none"),
    (header(objective="availability"), 'a header has no field "objective"'),
    (header(syncss=[0]), 'a header has no field "syncss"; did you mean syncs?'),
]


@pytest.mark.parametrize(("broken", "said"), BROKEN_HEADERS, ids=lambda each: str(each)[:60])
def test_a_broken_header_is_refused(broken: Any, said: str) -> None:
    """It is named by its line, and every field of the policy by its path."""
    error = refused(HEADER, TICK, broken)
    assert error.line == 3
    assert said.lower() in error.problem.lower()


def test_a_tick_needs_a_header() -> None:
    """A file that begins in the middle of a trace is refused."""
    error = refused(TICK)
    assert (error.line, "begins with a header" in error.problem) == (1, True)


LENIENT = [
    {"ratio": {}},
    {"ratio": {"errors": {}, "total": {}}},
    {"ratio": {"errors": {"metric": 'x{code="500"}'}}},
    {"ratio": {"errors": {"query": "sum(increase(x[$window]))"}, "total": {"query": "sum(increase(y[$window]))"}}},
    {"latency": {}},
    {"latency": {"total": {"metric": "x_count"}}},
    {"latency": {"success": {"metric": 'x_bucket{le="0.3"}'}, "total": {"metric": "x_count"}}},
    {"latencyNative": {}},
    {"latencyNative": {"threshold": "300ms"}},
]


@pytest.mark.parametrize("indicator", LENIENT, ids=str)
def test_metrics_may_be_left_out(indicator: dict[str, Any]) -> None:
    """Whatever kind of share it is, and however much of its metrics there is, its counts are judged alike."""
    written = Written({"objectives": [{**RATIO, "indicator": indicator}]}).before().add(0.05, 0, 1800)
    assert (written.verdict.verdict, written.verdict.decided_at) == ("Breached", 90)


def test_a_given_policy_judges_in_place_of_the_traces_own() -> None:
    """Its own is then not needed, but is still read."""
    bare = dumped(header(policy=...), TICK)
    strict = only(read_traces(dumped(HEADER, TICK))).header.policy
    assert only(read_traces(bare, strict)).header.policy.objectives[0].name == "availability"
    with pytest.raises(TraceError, match="mode"):
        list(read_traces(dumped(header(policy={**POLICY, "mode": "Bold"}), TICK), strict))


def test_blank_lines_and_a_byte_order_mark_say_nothing() -> None:
    """Line numbers still count them."""
    lines = [b"\xef\xbb\xbf" + dumped(HEADER)[0], b"\n", b"  \r\n", *dumped(TICK), b"\n"]
    assert only(read_traces(lines)).until == 15
    with pytest.raises(TraceError) as error:
        list(read_traces([*lines, *dumped(TICK)]))
    assert error.value.line == 6


def test_rounding_is_no_contradiction() -> None:
    """Sums of fractions may differ in the last digit."""
    trace = only(read_traces(dumped(HEADER, tick(bad=0.30000000000000004, total=0.3))))
    assert trace.objectives["availability"].bad.tolist() == [0.3]


def test_traces_come_one_after_the_other() -> None:
    """Many traces need no more memory than one: nothing is read ahead of the next header."""
    taken: list[int] = []

    def endless() -> Iterator[bytes]:
        for number, line in enumerate(chain.from_iterable(repeat(dumped(HEADER, tick(t=-15), TICK))), 1):
            taken.append(number)
            yield line

    found = list(islice(read_traces(endless()), 3))
    assert [each.header.line for each in found] == [1, 4, 7]
    assert len(taken) == 10


def test_a_trace_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace without end is refused before memory is."""
    monkeypatch.setattr(recording, "MOST_TICKS", 4)
    error = refused(HEADER, *(tick(t=15 * index) for index in range(-9, 0)))
    assert (error.line, error.problem) == (6, "a trace has at most 4 ticks")
    monkeypatch.setattr(recording, "MOST_TICKS", 1000)
    monkeypatch.setattr(recording, "MOST_LOOKS", 4)
    error = refused(HEADER, *(tick(t=15 * index) for index in range(-9, 9)))
    assert (error.line, error.problem) == (16, "availability has more than 4 ticks after the sync")


NOISE = [
    lambda fields: json.dumps(dict(reversed(fields.items()))),
    lambda fields: json.dumps(fields, indent=None, separators=(",", ":")),
    lambda fields: json.dumps({**fields, "partial": False}) if "bad" in fields else json.dumps(fields),
    lambda fields: json.dumps(fields).replace("availability", "\\u0061vailability"),
]


@pytest.mark.parametrize("written_as", NOISE)
def test_the_way_of_writing_changes_nothing(written_as: Callable[[dict[str, Any]], str]) -> None:
    """The same facts in another order, spacing or escape give the same verdict."""
    written = Written().before().add(0.012, 0, 1800)
    lines = [written_as(each).encode() for each in written.objects]
    assert judge_trace(only(read_traces(lines))) == written.verdict


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_line_does_more_than_be_refused(data: st.DataObject) -> None:
    """Whatever is cut out of a trace or put into it, the reader names the line or understands it."""
    lines = dumped(HEADER, tick(t=-15), TICK, later(version="new"), {"t": 45, "objective": "memory", "value": 1})
    place = data.draw(st.integers(0, len(lines) - 1))
    line = lines[place]
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, min(len(line), start + 6)))
    extra = data.draw(
        st.binary(max_size=4) | st.sampled_from([b"-", b"0", b"1e9", b"null", b"{}", b"[", b'"', b"NaN", b","])
    )
    lines[place] = line[:start] + extra + line[end:]
    try:
        found = [judge_trace(each) for each in read_traces(lines)]
    except TraceError as error:
        assert 1 <= error.line <= len(lines)  # noqa: PT017
    else:
        assert all(each.verdict for each in found)
