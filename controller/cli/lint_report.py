"""Writes what lint found: for people at a terminal, for a pipe, for programs, and for a pull request on GitHub.

Invariant: a finding that came from a file cannot forge another line, a colour or a workflow command.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import groupby

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from controller.adapters.policies.lint import Finding, Severity
from controller.cli.output import clean, console, print_json


class LintFormat(StrEnum):
    """What lint writes."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


@dataclass(frozen=True, slots=True)
class Read:
    """How many declarations were read."""

    policies: int
    pipelines: int = 0

    def __str__(self) -> str:
        policies = f"{self.policies} polic{'y' if self.policies == 1 else 'ies'}"
        pipelines = f"{self.pipelines} pipeline{'' if self.pipelines == 1 else 's'}"
        if not self.pipelines:
            return policies
        return f"{policies}, {pipelines}" if self.policies else pipelines


def write_findings(findings: Sequence[Finding], read: Read, output: LintFormat) -> None:
    """Write all findings and a summary to standard output."""
    if output is LintFormat.JSON:
        _json(findings, read)
    elif output is LintFormat.GITHUB:
        for each in findings:
            typer.echo(_workflow_command(each))
        typer.echo(summary(findings, read))
    else:
        _text(findings, read, console())


def count(findings: Sequence[Finding], severity: Severity) -> int:
    """How many findings are so bad."""
    return len([each for each in findings if each.severity is severity])


def summary(findings: Sequence[Finding], read: Read) -> str:
    """``3 policies: 1 error, 2 warnings``."""
    said = [
        f"{number} {severity}{'' if number == 1 else 's'}"
        for severity in (Severity.ERROR, Severity.WARNING)
        if (number := count(findings, severity))
    ]
    return f"{read}: {', '.join(said) or 'nothing to mend'}"


def _json(findings: Sequence[Finding], read: Read) -> None:
    listed = [_data_of(each) for each in findings]
    errors, warnings = count(findings, Severity.ERROR), count(findings, Severity.WARNING)
    counts = {"policies": read.policies, "pipelines": read.pipelines, "errors": errors, "warnings": warnings}
    print_json({**counts, "findings": listed})


def _data_of(finding: Finding) -> dict[str, object]:
    """Every field; ``effect`` only where something was measured."""
    data: dict[str, object] = {
        "severity": finding.severity,
        "rule": finding.rule,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "policy": finding.policy,
        "path": finding.path,
        "problem": finding.problem,
        "remedy": finding.remedy,
    }
    return data if finding.effect is None else data | {"effect": asdict(finding.effect)}


def _text(findings: Sequence[Finding], read: Read, screen: Console) -> None:
    if not screen.is_terminal:
        for each in findings:
            typer.echo(clean(f"{each.file}:{each.line}:{each.column}: {each.severity}: {each.text} [{each.rule}]"))
        typer.echo(summary(findings, read))
        return
    for file, group in groupby(findings, key=lambda each: each.file):
        screen.print(Text(clean(file), style="bold underline"))
        screen.print(Padding(_rows(group), (0, 0, 1, 2)))
    failed = count(findings, Severity.ERROR) > 0
    sign, style = ("✗", "bold red") if failed else ("✓", "bold green")
    screen.print(Text(f"{sign} {summary(findings, read)}", style=style))


def _rows(findings: Iterable[Finding]) -> Table:
    rows = Table.grid(padding=(0, 2, 0, 0))
    for each in findings:
        position = Text(f"{each.line}:{each.column}", style="dim")
        rows.add_row(position, Text(each.severity, style=_STYLES[each.severity]), _said(each))
    return rows


def _said(finding: Finding) -> Text:
    said = Text()
    if finding.path:
        said.append(f"{clean(finding.path)}  ", style="bold")
    said.append(f"{finding.rule}\n", style="dim")
    said.append(clean(finding.problem))
    if finding.remedy:
        said.append(f"\n→ {clean(finding.remedy)}", style="green")
    return said


def _workflow_command(finding: Finding) -> str:
    """One annotation; see GitHub's workflow commands for the escapes."""
    place = f"file={_property(finding.file)},line={finding.line},col={finding.column}"
    title = _property(f"rollguard {finding.rule}")
    return f"::{_COMMANDS[finding.severity]} {place},title={title}::{_data(finding.text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
