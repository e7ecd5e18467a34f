"""Writes docs/scoreboard.md and its plots from the figures.

Invariant: nothing in it but figures and fixed words: no dates, no machine, so the same run gives the same page.
"""

from collections.abc import Iterable, Sequence

from benchmarks.detection.coverage import ALPHA, LEGS
from benchmarks.detection.goals import Line, goals, number, said, seconds
from benchmarks.detection.outcomes import BY_NAME, ORACLE, PEERS, ROLLGUARD
from benchmarks.detection.peers.rules import Peer
from benchmarks.detection.plot import COLOURS, Panel, Row, Series, delay_plot, served_plot
from benchmarks.detection.runs import Family, Kind
from benchmarks.detection.score import BUSY, CURVES, LOOSELY, TUNED, Figures
from benchmarks.detection.words import (
    ALONE_NOTE,
    ATTRIBUTION_NOTE,
    COVERAGE_NOTE,
    DIRECTORY,
    FALSE_NOTE,
    HEAD,
    HOW_OTHERS,
    SERVED_NOTE,
    SHORT_NOTE,
    SOON_NOTE,
)

Table = Iterable[Sequence[str]]
MET = {True: "yes", False: "**no**", None: "too few runs to tell"}


def page(figures: Figures) -> str:
    """The whole page."""
    lines = goals(figures)
    parts = [HEAD.format(seed=figures["seed"], families=len(figures["families"]), runs=_all_runs(figures))]
    parts += ["## In short", _in_short(lines), _short(lines), "## Goals that are missed", _missed(lines)]
    parts += ["## Fine deployments", FALSE_NOTE, _false(figures, (Kind.FINE, Kind.UNSTABLE))]
    parts += ["## Coverage at the exact null", COVERAGE_NOTE, _coverage(figures)]
    parts += ["## Another's fault, worse inside the SLO, and what cannot be told apart", ATTRIBUTION_NOTE]
    parts += [_false(figures, (Kind.ATTRIBUTION, Kind.WORSE, Kind.HOLD, Kind.UNTOLD))]
    parts += ["## Bad deployments: how soon", SOON_NOTE, _soon(figures), f"![delay]({DIRECTORY}/delay.svg)"]
    parts += ["## Bad deployments: requests served", SERVED_NOTE, _served(figures)]
    parts += [f"![bad requests served]({DIRECTORY}/served.svg)"]
    parts += ["## Rare events and gauges", ALONE_NOTE, _alone(figures), "## How the others were set", HOW_OTHERS]
    parts += [_settings(figures), "## All goals", _all_goals(lines)]
    return "\n\n".join(parts) + "\n"


def _all_runs(figures: Figures) -> str:
    return f"{sum(each['runs'] for each in figures['families'].values()):,}"


def _of(figures: Figures, *kinds: Kind) -> list[tuple[Family, Figures]]:
    """Families that every rule judges."""
    pairs = [(BY_NAME[name], each) for name, each in figures["families"].items()]
    return [(family, each) for family, each in pairs if family.kind in kinds and not family.alone]


def table(head: Sequence[str], rows: Table) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(each) + " |" for each in lines)


def _in_short(lines: Sequence[Line]) -> str:
    met, missed = (sum(line.met is each for line in lines) for each in (True, False))
    return SHORT_NOTE.format(met=met, missed=missed, open=len(lines) - met - missed, all=len(lines))


def _short(lines: Sequence[Line]) -> str:
    kinds = list(dict.fromkeys(line.what.split(" (")[0] for line in lines))
    rows = []
    for what in kinds:
        same = [line for line in lines if line.what.split(" (")[0] == what]
        for kind in dict.fromkeys(line.family.kind for line in same):
            of_kind = [line for line in same if line.family.kind is kind]
            open_ones = sum(line.met is None for line in of_kind)
            met = f"{sum(line.met is True for line in of_kind)} of {len(of_kind)}"
            rows.append([kind.value, what, met + (f"; {open_ones} with too few runs to tell" if open_ones else "")])
    return table(["deployments", "goal", "families that meet it"], rows)


def _missed(lines: Sequence[Line]) -> str:
    rows = [[*_line(line), line.family.note] for line in lines if line.met is False]
    return table(["family", "what", "goal", "measured", "why"], rows) if rows else "None."


def _line(line: Line) -> list[str]:
    return [line.family.title, line.what, line.goal, line.measured]


def _all_goals(lines: Sequence[Line]) -> str:
    return table(["family", "what", "goal", "measured", "met"], [[*_line(each), MET[each.met]] for each in lines])


def _coverage(figures: Figures) -> str:
    rows = []
    for leg in LEGS:
        found = figures["coverage"].get(leg.name)
        if found is not None:
            reached, paths, (least, upper) = found["reached"], found["paths"], found["interval"]
            met = None if reached <= ALPHA * paths and upper > ALPHA else upper <= ALPHA
            shares = [number(1000 * each) for each in (reached / paths, least, upper)]
            rows.append([leg.title, f"{reached} of {paths}", shares[0], f"{shares[1]}–{shares[2]}", MET[met]])
    head = ["leg, and what it is given", "paths that reached 1000", "per 1000", "Wilson's interval", "at most 1"]
    return table(head, rows)


def _alone(figures: Figures) -> str:
    rows = []
    for name, scored in figures["families"].items():
        family = BY_NAME[name]
        if family.alone:
            ours = scored["rules"][ROLLGUARD]
            fired = f"**{ours['fired']}** of {scored['runs']}"
            delay, ninety = (seconds(ours.get(each)) for each in ("median", "ninety"))
            goal = "" if family.median_goal is None else f"{family.median_goal:.0f} s"
            bad = family.kind is Kind.BAD
            upper = "" if bad else number(1000 * ours["interval"][1])
            soon = [delay, ninety, goal] if bad else ["", "", ""]
            rows.append([family.title, family.kind.value, fired, upper, said(scored), *soon])
    head = ["family", "what it is", "rolled back", "at most, per 1000", "verdicts", "median", "90 %", "goal"]
    return table(head, rows)


def _peer_cells(scored: Figures, cell: str) -> list[str]:
    return [" / ".join(_cell(scored, label, cell) for label in _labels(peer)) for peer in PEERS]


def _labels(peer: Peer) -> tuple[str, str, str]:
    """As documented first, tuned, and tuned to the busier families."""
    first = next(iter(peer.documented))
    return f"{peer.name}, {first}", f"{peer.name}, {TUNED}", f"{peer.name}, {LOOSELY}"


def _cell(scored: Figures, label: str, cell: str) -> str:
    rule, runs = scored["rules"][label], scored["runs"]
    share = rule["fired"] / runs
    if cell == "fired":
        return number(1000 * share)
    if cell == "served":
        return number(rule["served"])
    whole = "" if share >= 0.995 else f" ({100 * share:.0f} %)"
    return (seconds(rule["median"]).removesuffix(" s") if share >= 0.5 else "–") + whole


def _false(figures: Figures, kinds: Sequence[Kind]) -> str:
    rows = []
    for family, scored in _of(figures, *kinds):
        ours = scored["rules"][ROLLGUARD]
        _, upper = ours["interval"]
        verdicts = said(scored, but="Breached")
        title = family.title + (f" ({family.note})" if family.note else "")
        false = f"**{ours['fired']}** of {scored['runs']}"
        rows.append([title, false, number(1000 * upper), verdicts, *_peer_cells(scored, "fired")])
    return table(
        ["family", "Rollguard rolls back", "at most, per 1000", "else it says", *(p.name for p in PEERS)], rows
    )


def _soon(figures: Figures) -> str:
    rows = []
    for family, scored in _of(figures, Kind.BAD):
        ours = _cell(scored, ROLLGUARD, "median")
        goal = "" if family.median_goal is None else f"{family.median_goal:.0f}"
        ninety = seconds(scored["rules"][ROLLGUARD]["ninety"]).removesuffix(" s")
        first = [family.title, goal, f"**{ours}**", ninety, _cell(scored, ORACLE, "median")]
        rows.append([*first, *_peer_cells(scored, "median")])
    head = ["family", "goal", "Rollguard", "90 %", "oracle", *(peer.name for peer in PEERS)]
    return table(head, rows)


def _served(figures: Figures) -> str:
    rows = []
    for family, scored in _of(figures, Kind.BAD):
        bound, ours = scored["bound"], scored["rules"][ROLLGUARD]["served"]
        times = "" if bound is None else number(ours / bound)
        first = [family.title, "" if bound is None else number(bound), f"**{number(ours)}**", times]
        rows.append([*first, _cell(scored, ORACLE, "served"), *_peer_cells(scored, "served")])
    head = ["family", "bound", "Rollguard", "times the bound", "oracle", *(peer.name for peer in PEERS)]
    return table(head, rows)


def _settings(figures: Figures) -> str:
    rows = []
    for label, (threshold, count) in figures["settings"].items():
        rates = figures["false"].get(label)
        if rates is not None:
            shown = [number(1000 * rates[which]) for which in ("all", "busy")]
            rows.append([label, f"{threshold:g}", f"{count:g}", *shown])
    head = ["rule", "threshold", "count", "false per 1000, fine families", f"of these at ≥ {BUSY:g} rps"]
    ours = figures["false"].get(ROLLGUARD)
    if ours is not None:
        rows.insert(0, [ROLLGUARD, "", "", *(number(1000 * ours[which]) for which in ("all", "busy"))])
    return table(head, rows)


def delays(figures: Figures) -> str:
    """The plot of delays against false rollbacks."""
    panels = []
    for column, name in enumerate(CURVES, 1):
        if not figures["curves"][ROLLGUARD]:
            break
        rate, ours = (figures["curves"][ROLLGUARD][0][place] for place in (0, column))
        series = [_series(figures, peer, colour, column) for peer, colour in zip(PEERS, COLOURS, strict=True)]
        panels.append(Panel(BY_NAME[name].title, tuple(series), None if ours is None else (rate, ours)))
    return delay_plot(panels)


def _series(figures: Figures, peer: Peer, colour: str, column: int) -> Series:
    points = [(each[0], each[column]) for each in figures["curves"][peer.name]]

    def of(label: str) -> tuple[float, float] | None:
        threshold, count = figures["settings"][label]
        place = next(i for i, each in enumerate(peer.settings) if (each.threshold, each.count) == (threshold, count))
        rate, delay = points[place]
        return None if delay is None else (rate, delay)

    documented, tuned, _ = _labels(peer)
    return Series(peer.name, colour, _best(points), of(documented), of(tuned))


def _best(points: Iterable[tuple[float, float | None]]) -> tuple[tuple[float, float], ...]:
    """Those that no other setting beats in both."""
    found: list[tuple[float, float]] = []
    for rate, delay in sorted((rate, delay) for rate, delay in points if delay is not None):
        if not found or delay < found[-1][1]:
            found.append((rate, delay))
    return tuple(found)


def served(figures: Figures) -> str:
    """The plot of bad requests served."""
    rows = []
    for family, scored in _of(figures, Kind.BAD):
        bound, by_rule = scored["bound"], scored["rules"]
        if bound is not None:
            others = tuple(
                (colour, by_rule[f"{peer.name}, {TUNED}"]["served"] / bound)
                for peer, colour in zip(PEERS, COLOURS, strict=True)
            )
            ours, best = by_rule[ROLLGUARD]["served"] / bound, by_rule[ORACLE]["served"] / bound
            rows.append(Row(family.title, ours, best, others))
    return served_plot(rows, [(colour, peer.name) for peer, colour in zip(PEERS, COLOURS, strict=True)])
