"""The files that operators are given, and the tools that read them."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import shutil
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import REGISTRY

import moonx_pipeline.metrics
from moonx_pipeline.metrics import gauges
from moonx_pipeline_tests.fixtures.missing import unavailable

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "rules.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "moonx.json"

_NO_METRICS = {
    "and",
    "or",
    "unless",
    "by",
    "on",
    "without",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "inf",
    "nan",
}


def tool(name: str) -> str:
    """Where a tool of Prometheus is; a test is skipped where it is not, but in CI that is an error."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not on this machine: it is in Debian's package prometheus."
        unavailable(reason)
    return found


def rules() -> list[dict[str, Any]]:
    """All rules, of alerts and of recordings."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels that ask for something."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """What the dashboard asks for, by panel and number."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "5m")
        for panel in panels()
        for target in panel["targets"]
    }


def metrics_of(expression: str) -> set[str]:
    """The metrics that an expression names."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expression)
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", bare)
    names = re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", bare)
    return {name for name in names if name not in _NO_METRICS}


def exported() -> set[str]:
    """The names of all series that the code declares."""
    for module in pkgutil.iter_modules(moonx_pipeline.metrics.__path__):
        importlib.import_module(f"moonx_pipeline.metrics.{module.name}")
    histogram = "portfolio_age_seconds"
    declared = {f"{histogram}_{part}" for part in ("bucket", "count", "sum")}
    for group in (gauges.OF_DATABASE, gauges.OF_GATEWAY, gauges.OF_WORKER, gauges.OF_ALL):
        declared |= set(group)
    for family in REGISTRY.collect():
        declared |= {sample.name for sample in family.samples}
        if family.type == "counter":
            declared.add(f"{family.name}_total")
        if family.type == "histogram":
            declared |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
    return declared
