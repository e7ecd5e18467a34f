"""``rollguard lint``: says what is wrong with policies before they guard anything.

Invariant: it only reads. Exit 0: no errors (there may be warnings); 1: errors; 2: wrong use, such as a missing file;
3: the metrics source did not answer, so the live checks are not complete.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from controller.adapters.policies.files import (
    InvalidPolicy,
    Loaded,
    LoadedPolicy,
    load_directory,
    load_file,
    load_text,
    without_twins,
)
from controller.adapters.policies.lint import Finding, Known, Rule, Severity, lint_live, lint_offline
from controller.adapters.policies.pipeline_files import (
    LoadedOrInvalid,
    load_pipeline_file,
    load_pipelines,
)
from controller.cli.failures import CommandError, ExitCode
from controller.cli.lint_report import LintFormat, Read, write_findings
from controller.cli.metrics_sources import SourceOf, Sources, rules_of, settings_of, targets_of
from controller.settings import Settings, load_settings

Declared: TypeAlias = Loaded | LoadedOrInvalid
STANDARD_INPUT = "-"
_MOST_APPLICATIONS = 20


def lint(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE", help="Policies: files, directories, or - for standard input.")
    ],
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the metrics source too: do the series exist, could a fault be seen?")
    ] = False,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            envvar="ROLLGUARD_SETTINGS",
            help="The administrator's settings: checks references, and says where --live asks.",
        ),
    ] = None,
    prometheus: Annotated[
        str | None, typer.Option("--prometheus", metavar="URL", help="Ask this Prometheus; no settings are needed.")
    ] = None,
    application: Annotated[
        str | None,
        typer.Option("--application", metavar="NAMESPACE/NAME", help="Fill in {{application}} with this one."),
    ] = None,
    output: Annotated[
        LintFormat, typer.Option("--output", "-o", help="For people, for programs, or GitHub annotations.")
    ] = LintFormat.TEXT,
) -> None:
    """Check policies, and the pipelines beside them.

    Each policy is checked by itself (fields, PromQL, bucket edges) and against the others; with --settings also what it
    refers to; with --live also what its metrics say: traffic, faults now, and the smallest fault that could be seen.
    """
    given = _given(settings, prometheus, live=live)
    policies, pipelines = read_policies(files), read_pipelines(files)
    declared: tuple[Declared, ...] = (*policies, *pipelines)
    loaded = (*policies, *(each for each in pipelines if isinstance(each, InvalidPolicy)))
    findings = [*_nothing_found(files, declared), *lint_offline(loaded, _known(given, settings))]
    if live:
        usable = [each for each in policies if isinstance(each, LoadedPolicy)]
        sources = Sources(given)
        findings.extend(lint_all_live(usable, sources.source, given, application))
    write_findings(_in_order(findings, declared), Read(len(policies), len(pipelines)), output)
    raise typer.Exit(exit_code(findings))


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """How lint ends with these findings."""
    errors = {each.rule for each in findings if each.severity is Severity.ERROR}
    if Rule.SOURCE_FAILED in errors:
        return ExitCode.OUTSIDE_FAILED
    return ExitCode.FOUND if errors else ExitCode.DONE


def read_policies(files: Sequence[str]) -> tuple[Loaded, ...]:
    """Read every policy of these files and directories.

    Raises:
        CommandError: one of them does not exist.
    """
    found: list[Loaded] = []
    for name in dict.fromkeys(files):
        path = Path(name)
        if name == STANDARD_INPUT:
            found.extend(load_text(sys.stdin.read(), "<stdin>"))
        elif path.is_dir():
            found.extend(load_directory(path))
        elif path.exists():
            found.extend(load_file(path))
        else:
            raise CommandError(f"there is no file {name}")
    return without_twins(found)


def read_pipelines(files: Sequence[str]) -> tuple[LoadedOrInvalid, ...]:
    """Read every pipeline of these files and directories; standard input holds policies alone."""
    found: list[LoadedOrInvalid] = []
    for name in dict.fromkeys(files):
        path = Path(name)
        found.extend(load_pipelines(path) if path.is_dir() else load_pipeline_file(path))
    return tuple(found)


def _nothing_found(files: Sequence[str], loaded: Sequence[Declared]) -> Iterator[Finding]:
    """A file or directory without any policy is most likely the wrong one."""
    for name in dict.fromkeys(files):
        shown = "<stdin>" if name == STANDARD_INPUT else str(Path(name))
        inside = (each for each in loaded if each.file == shown or Path(shown) in Path(each.file).parents)
        if next(inside, None) is None:
            said = "holds no SLOPolicy and no PromotionPipeline"
            yield Finding(Severity.ERROR, Rule.NO_POLICY, shown, 1, 1, "", "", said, "a policy has kind: SLOPolicy")


def _in_order(findings: Iterable[Finding], loaded: Sequence[Declared]) -> list[Finding]:
    order = {each.file: number for number, each in reversed(list(enumerate(loaded)))}
    return sorted(findings, key=lambda each: (order.get(each.file, -1), each.line, each.column, each.path))


def _given(path: Path | None, prometheus: str | None, *, live: bool) -> Settings | None:
    if path is None and prometheus is None:
        if live:
            raise CommandError("--live needs to know where the metrics are: give --settings FILE or --prometheus URL")
        return None
    return load_settings(path, os.environ) if path is not None else settings_of(prometheus or "")


def _known(settings: Settings | None, path: Path | None) -> Known:
    if settings is None or path is None:
        return Known()
    applications = tuple(each.application for each in settings.applications)
    return Known(
        frozenset(settings.metrics_sources),
        frozenset(settings.alert_sinks),
        applications or None,
        rules_of(settings),
    )


def lint_all_live(
    policies: Sequence[LoadedPolicy], source_of: SourceOf, settings: Settings | None, application: str | None
) -> Iterator[Finding]:
    """The live findings of each policy, for each application that it guards (20 at most)."""
    for policy in policies:
        name = policy.policy.spec.metrics
        if settings is not None and name not in settings.metrics_sources:
            continue
        targets = list(targets_of(policy.policy, settings, application))
        if not targets:
            yield _no_target(policy)
        for target in targets[:_MOST_APPLICATIONS]:
            yield from lint_live(policy, source_of(name), target)


def _no_target(policy: LoadedPolicy) -> Finding:
    mark = policy.mark(("spec", "application"))
    return Finding(
        Severity.WARNING,
        Rule.NO_APPLICATION,
        policy.file,
        mark.line,
        mark.column,
        policy.name,
        "spec.application",
        "no application is known that the selector matches, so the live checks are left out",
        "give --application NAMESPACE/NAME",
    )
