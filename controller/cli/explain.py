"""``rollguard explain``: the story of one decision, with its numbers."""

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from controller.cli.common import DEFAULT_SETTINGS, Output, SettingsFile, opened
from controller.cli.evidence_path import evidence_path
from controller.cli.output import (
    Format,
    cell,
    clean,
    console,
    is_wide,
    lasted,
    moment,
    print_json,
    print_table,
    short,
)
from controller.cli.plot import drawn, in_one_line
from controller.cli.records import cause_of, find_record
from controller.cli.story import judgement_of, story_data, target_of, timeline
from controller.cli.views import rollback_sentence
from controller.core.revert import before_text, measured_text
from controller.core.state import Analysis, AnalysisKind, Record, Rollback
from controller.core.verdict import ObjectiveJudgement
from controller.core.verdict_table import QUESTIONS, answers

_MOST_SUSPECTS = 20
_LEGS = ("SLO leg", "own leg", "controls leg", "could be seen")


def explain(
    analysis: Annotated[
        str,
        typer.Argument(metavar="ANALYSIS", help="Its id (8 characters do), or an application: its newest analysis."),
    ],
    *,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Numbers only.")] = False,
    settings: SettingsFile = DEFAULT_SETTINGS,
    output: Output = Format.TEXT,
) -> None:
    """Why it was decided: what happened when, the numbers, how the evidence rose, the suspects, what was done in Git.

    Evidence is given as natural logarithms (ln E). The smallest of an objective's legs counts: worse than the SLO allows,
    worse than the service was itself, and worse than its controls or old pods where there are any. Breached is said
    when their weighed sum reaches the threshold.

    [bold]Examples[/bold]

      rollguard explain checkout

      rollguard explain 3f2a91c-5d01b2 --output json
    """
    with opened(settings) as place:
        record = find_record(place, analysis)
        cause = cause_of(place, record)
    if output is Format.JSON:
        print_json(story_data(record))
        return
    screen = console()
    _print_head(screen, record)
    if cause is not None:
        screen.print(f"why it was restored: rollguard explain {clean(cause)}", soft_wrap=True)
    _print_timeline(screen, record)
    _print_numbers(screen, record)
    _print_evidence(screen, record.analysis, plot=screen.is_terminal and not no_plot)
    if record.rollback is not None:
        _print_rollback(screen, record.rollback)


def _print_head(screen: Console, record: Record) -> None:
    analysis = record.analysis
    given = analysis.recovery or analysis.verdict or "undecided"
    screen.print(
        Text.assemble(cell(record.application.key, "bold"), "  ", cell(analysis.id), "  ", cell(given, "bold cyan"))
    )
    judgement = judgement_of(record)
    sentences = (judgement.sentence if judgement is not None else "no look yet", analysis.outcome)
    for sentence in sentences:
        if sentence and sentence.lower() != given.lower():
            screen.print(clean(sentence), soft_wrap=True)
    policy = f"policy {analysis.policy_name}, {analysis.kind.value}"
    window = f"window {lasted(analysis.policy.analysis.window)}"
    screen.print(clean(f"{policy}, {window}, {_back(record)}"), style="dim")


def _back(record: Record) -> str:
    """What a breach would bring back, or what this restore has brought back."""
    analysis, rollback = record.analysis, record.rollback
    if analysis.kind is AnalysisKind.RECOVERY and rollback is not None:
        return f"restores {short(rollback.target)}"
    return f"last good {short(analysis.before.revision)}" if analysis.before is not None else "no last good"


def _print_timeline(screen: Console, record: Record) -> None:
    _heading(screen, "What happened")
    start = record.analysis.started_at
    for each in timeline(record):
        screen.print(f"  {moment(each.at)}  +{lasted(each.at - start):<8} {clean(each.what)}", soft_wrap=True)


def _print_numbers(screen: Console, record: Record) -> None:
    judgement = judgement_of(record)
    if judgement is None:
        return
    _heading(screen, f"What was measured, until {moment(judgement.decided_at or judgement.at)}")
    judged = judgement.objectives
    restore = record.analysis.kind is AnalysisKind.RECOVERY
    columns = ["objective", "target", "measured", "before", "bad of all"]
    rows = [_numbers(record.analysis, each) for each in judged]
    if not restore:  # of a restore no leg decides
        controls = any(each.log_e_controls is not None for each in judged)
        legs = [each for each in _LEGS if controls or each != _LEGS[2]]
        columns += legs if is_wide(screen) else [each.replace(" ", "\n", 1) for each in legs]
        rows = [[*row, *_legs(each, controls=controls)] for row, each in zip(rows, judged, strict=True)]
    print_table(screen, columns, rows, ["objective"])
    if not restore:
        _print_sum(screen, judgement.evidence, judgement.threshold)
        for question, answer in zip(QUESTIONS, answers(judgement.reason), strict=True):
            screen.print(f"  {question:<27} {answer}")
    for each in judgement.objectives:
        if each.objective != judgement.objective:
            screen.print(f"  {clean(each.sentence)}", soft_wrap=True)


def _numbers(analysis: Analysis, found: ObjectiveJudgement) -> list[object]:
    if found.gauge is not None:
        limit = target_of(analysis.policy, found.objective)
        return [found.objective, limit, measured_text(found), before_text(found), "–"]
    counted = f"{found.bad:,.10g} of {found.total:,.10g}" if found.total else f"{found.bad:,.10g}"
    target = target_of(analysis.policy, found.objective)
    return [found.objective, target, measured_text(found), before_text(found), counted]


def _legs(found: ObjectiveJudgement, *, controls: bool) -> list[object]:
    least = "–" if found.detectable is None else f"{100 * found.detectable:.2g} %"
    beside = [_leg(found.log_e_controls)] if controls else []
    return [_leg(found.log_e_slo), _leg(found.log_e_baseline), *beside, least]


def _leg(log_e: float | None) -> str:
    return "–" if log_e is None else f"{log_e:.2f}"


def _print_sum(screen: Console, evidence: float, threshold: float) -> None:
    said = "reached" if evidence >= threshold else "not reached"
    screen.print(f"  evidence ln E {evidence:.2f} against {threshold:.2f}: {said}")


def _print_evidence(screen: Console, analysis: Analysis, *, plot: bool) -> None:
    path = evidence_path(analysis)
    if path is None:
        return
    _heading(screen, "How the evidence rose")
    if plot:
        screen.print(drawn(path, analysis.started_at), soft_wrap=True)
    else:
        screen.print(f"  {path.title}; threshold {path.threshold:.2f}")
        screen.print(f"  {in_one_line(path, analysis.started_at)}", soft_wrap=True)
    if analysis.kind is AnalysisKind.RECOVERY:
        _print_sum(screen, path.log_e[-1], path.threshold)


def _print_rollback(screen: Console, rollback: Rollback) -> None:
    _heading(screen, "What was done")
    screen.print(f"  {clean(rollback_sentence(rollback))}", soft_wrap=True)
    if rollback.by:
        screen.print(
            f"  asked for by {clean(rollback.by)}: {clean(rollback.note) or 'no reason given'}", soft_wrap=True
        )
    if rollback.revision is not None:
        screen.print(f"  commit {rollback.revision} on {clean(rollback.branch)}", soft_wrap=True)
    if rollback.suspects:
        _heading(screen, "Suspects")
        rows = [
            [short(each.revision), moment(each.at, seconds=False), each.author, each.subject]
            for each in rollback.suspects
        ]
        print_table(screen, ["commit", "when", "author", "subject"], rows[:_MOST_SUSPECTS], ["author", "subject"])
        if len(rows) > _MOST_SUSPECTS:
            screen.print(f"  and {len(rows) - _MOST_SUSPECTS} more")


def _heading(screen: Console, text: str) -> None:
    screen.print()
    screen.print(text, style="bold")
