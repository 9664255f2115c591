"""Rules, dashboard and runbook: they are right by themselves, and they fit each other and the code."""

import subprocess

import pytest
import yaml

from moonx_pipeline_tests.deploy_monitoring.monitoring import (
    PROMETHEUS,
    ROOT,
    RULES,
    alerts,
    exported,
    expressions,
    metrics_of,
    rules,
    tool,
)

_OF_THE_CONTRACT = {
    "sync_jobs_processed_total",
    "sync_jobs_failed_total",
    "sync_job_duration_seconds_count",
    "circuit_breaker_open_total",
    "rate_limit_exceeded_total",
    "state_recovery_duration_seconds_count",
    "kafka_events_published_total",
    "kafka_publish_duration_seconds_count",
    "kafka_publish_errors_total",
    "sync_requests_pending",
    "users_due",
    "portfolio_age_seconds_count",
    "outbox_unpublished",
    "outbox_oldest_seconds",
    "circuit_breaker_state",
    "provider_requests_total",
    "provider_request_duration_seconds_count",
    "provider_compute_units_total",
    "websocket_connections",
    "event_delivery_seconds_count",
}

_OF_PROMETHEUS = {"up", "ALERTS"}


def test_the_code_declares_what_was_agreed() -> None:
    assert exported() >= _OF_THE_CONTRACT


@pytest.mark.parametrize("file", sorted(file.name for file in (PROMETHEUS / "tests").glob("*.yaml")))
def test_alerts_fire_when_they_are_to_and_only_then(file: str) -> None:
    command = [tool("promtool"), "test", "rules", file]
    done = subprocess.run(command, cwd=PROMETHEUS / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration() -> None:
    command = [tool("promtool"), "check", "config", "prometheus.yml"]
    done = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_test_in_which_it_fires() -> None:
    tested = "".join(file.read_text() for file in (PROMETHEUS / "tests").glob("*.yaml"))
    assert {name for name in alerts() if f'alertname="{name}"}}\', value' not in tested} == set()


def test_the_alerts_of_the_system_before_this_one_keep_their_names() -> None:
    assert {"SyncWorkerDown", "HighCircuitBreakerRate", "KafkaPublishFailures"} <= alerts().keys()


@pytest.mark.parametrize("name", sorted(alerts()))
def test_each_alert_says_what_it_is_how_bad_and_what_to_do(name: str) -> None:
    alert = alerts()[name]
    notes = alert["annotations"]
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert notes["summary"].endswith(".")
    assert notes["description"].endswith(".")
    file, _, anchor = notes["runbook_url"].partition("#")
    lines = (ROOT / file).read_text().splitlines()
    assert anchor == name.lower()
    start = lines.index(f"### {name}")
    section = "\n".join(lines[start + 1 :]).split("\n### ")[0]
    assert all(f"**{part}**" in section for part in ("Means", "Look at", "Do"))


def test_the_runbook_has_no_section_without_an_alert() -> None:
    lines = (ROOT / "docs" / "operations.md").read_text().split("\n## Alerts")[1].split("\n## ")[0].splitlines()
    assert {line.removeprefix("### ") for line in lines if line.startswith("### ")} == alerts().keys()


def test_rules_and_dashboard_name_only_what_there_is() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known = exported() | recorded | _OF_PROMETHEUS
    asked = {f"rule {rule.get('alert') or rule['record']}": rule["expr"] for rule in rules()} | expressions()

    unknown = {where: names for where, text in asked.items() if (names := metrics_of(text) - known)}

    assert unknown == {}
    assert all(metrics_of(text) for text in asked.values())


def test_what_is_recorded_is_used() -> None:
    asked = {
        name for text in [*expressions().values(), *(rule["expr"] for rule in rules())] for name in metrics_of(text)
    }
    assert {rule["record"] for rule in rules() if "record" in rule} <= asked


def test_the_jobs_that_rules_name_are_scraped() -> None:
    jobs = {job["job_name"] for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]}
    assert jobs == {"worker", "relay", "gateway"}
    assert 'job="worker"' in RULES.read_text()
