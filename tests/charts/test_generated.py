"""What of the chart follows from the code says what the code says."""

import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from charts.generate import CHART, generated
from controller import __version__
from controller.runtime.telemetry import Telemetry

METRIC = re.compile(r"\brollguard_[a-z_]+")


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_nothing_generated_is_stale(path: Path) -> None:
    """``make chart`` was run after the models had changed."""
    assert path.read_text(encoding="utf-8") == generated()[path], "run make chart"


def test_the_chart_has_the_projects_version() -> None:
    """The image that it names is the one that is built beside it."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def expressions() -> dict[str, str]:
    """Every PromQL of the chart, by where it stands."""
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    found = {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    dashboard = json.loads((CHART / "files" / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "5m").replace("$namespace", "guard")
            found[f"{panel['title']} {target['refId']}"] = text
    return found


@pytest.mark.parametrize("place", expressions())
def test_alerts_and_dashboard_read_metrics_that_there_are(place: str) -> None:
    """Each expression parses and names only what the controller exposes; none counts another installation."""
    text = expressions()[place]
    promql_parser.parse(text)
    exposed = generate_latest(Telemetry.create("1").registry).decode()
    assert {name for name in METRIC.findall(text) if name.removesuffix("_bucket") not in exposed} == set()
    assert text.count("namespace=") >= len(METRIC.findall(text))


def test_panels_do_not_overlap() -> None:
    """Each has its own place and number on a grid of 24 columns."""
    panels = json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_value_is_in_the_schema_and_the_other_way_round() -> None:
    """What can be set is shown in values.yaml with its default, and the schema knows all of it."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(values) == set(schema["properties"]) - {"global"}
    for name, each in values.items():
        known = schema["properties"][name].get("properties")
        if known and name != "settings":
            assert set(each) == set(known), name
