"""Values of Dagster's own chart: keys that it knows, the instance of dagster.yaml, and what our chart has made."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dagster as dg
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster_k8s import K8sRunLauncher
from sqlalchemy import make_url

from moonx_pipeline import __version__
from moonx_pipeline.settings.load import known_names, load_settings, secrets_of
from moonx_pipeline_tests.deploy.dagster_chart import has_cluster_rights, instance_config, merged, unknown_keys
from moonx_pipeline_tests.deploy.manifests import of_kind
from moonx_pipeline_tests.deploy.tools import CHART, DEPLOY, ROOT, render
from moonx_pipeline_tests.support.go_tools import BUILD_SECONDS

VALUES = yaml.safe_load((ROOT / "helm-values.yaml").read_text())
ISOLATED = merged(VALUES, yaml.safe_load((DEPLOY / "helm" / "values-isolated.yaml").read_text()))
CHART_VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
PARTS = [VALUES["dagsterDaemon"], VALUES["dagsterWebserver"], *VALUES["dagster-user-deployments"]["deployments"]]


@pytest.mark.parametrize("values", [VALUES, ISOLATED], ids=["workers", "isolated"])
def test_the_chart_knows_every_key(values: Any) -> None:
    assert not list(unknown_keys(values))


@pytest.mark.parametrize("file", ["helm-values.yaml", "deploy/helm/values-isolated.yaml"])
def test_the_charts_version_is_the_librarys(file: str) -> None:
    assert f"--version {dg.__version__} " in (ROOT / file).read_text()


@pytest.mark.parametrize("part", ["run_launcher", "run_coordinator", "compute_logs", "python_logs", "retention",
                                  "sensors", "schedules", "telemetry"])  # fmt: skip
def test_the_rendered_instance_is_dagster_yaml(part: str) -> None:
    ours = yaml.safe_load((ROOT / "dagster.yaml").read_text())

    assert instance_config(VALUES)[part] == ours[part]


def test_the_rendered_instance_watches_runs_as_dagster_yaml_does() -> None:
    ours = yaml.safe_load((ROOT / "dagster.yaml").read_text())

    assert ours["run_monitoring"].items() <= instance_config(VALUES)["run_monitoring"].items()


def test_dagster_yaml_has_nothing_that_the_chart_is_not_told() -> None:
    ours = yaml.safe_load((ROOT / "dagster.yaml").read_text())

    assert ours.keys() - instance_config(VALUES).keys() == {"storage"}


@pytest.mark.parametrize("values", [VALUES, ISOLATED], ids=["workers", "isolated"])
def test_dagster_takes_the_rendered_instance(values: Any, tmp_path: Path) -> None:
    taken, _ = dagster_instance_config(str(_written(instance_config(values), tmp_path)))

    assert taken["run_launcher"] == instance_config(values)["run_launcher"]


def _written(config: Any, folder: Path) -> Path:
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_the_launcher_of_pods_takes_what_is_rendered_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "K8S_INSTANCE_CONFIG_MAP", "K8S_PG_PASSWORD_SECRET", "K8S_PIPELINE_RUN_ENV_CONFIGMAP"):
        monkeypatch.setenv(f"DAGSTER_{variable}", "of the chart")
    rendered = instance_config(ISOLATED)
    for kind, config in (
        (K8sRunLauncher, rendered["run_launcher"]),
        (QueuedRunCoordinator, rendered["run_coordinator"]),
    ):
        found = process_config(resolve_to_config_type(kind.config_type()), config["config"])
        assert found.success, found.errors


def test_what_the_webserver_stores_is_where_the_workers_look(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(database_url)
    config = instance_config(VALUES)
    for storage in ("run_storage", "event_log_storage", "schedule_storage"):
        database = config[storage]["config"]["postgres_db"]
        config[storage]["config"]["postgres_db"] = {
            **database,
            "username": url.username,
            "hostname": "",
            "db_name": url.database,
            "params": {**database["params"], "host": url.query["host"]},
        }
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "none")
    monkeypatch.setenv("DATABASE_URL", database_url)

    with dg.DagsterInstance.from_config(str(_written(config, tmp_path))) as webservers:
        webservers.add_dynamic_partitions("users", ["u1"])
    monkeypatch.setenv("DAGSTER_HOME", str(ROOT))
    load_settings.cache_clear()
    try:
        with dg.DagsterInstance.get() as workers:
            assert workers.get_dynamic_partitions("users") == ["u1"]
    finally:
        load_settings.cache_clear()


@pytest.mark.timeout(BUILD_SECONDS)
def test_its_pods_have_the_settings_of_our_chart() -> None:
    (settings,) = of_kind(render(), "ConfigMap")
    for part in PARTS:
        assert part["envConfigMaps"] == [{"name": settings}]
        assert {variable["name"] for variable in part["env"]} <= known_names()
    pods = ISOLATED["runLauncher"]["config"]["k8sRunLauncher"]
    assert pods["envConfigMaps"] == [{"name": settings}]
    assert {variable.partition("=")[0] for variable in pods["envVars"]} <= known_names()


def test_its_pods_have_the_secrets_that_they_read_and_no_others() -> None:
    daemon, webserver, code = PARTS
    run = ISOLATED["runLauncher"]["config"]["k8sRunLauncher"]
    for name, pod, environment in (
        ("daemon", daemon, daemon["env"]),
        ("webserver", webserver, webserver["env"]),
        ("code-server", code, code["env"]),
        ("worker", run, run["runK8sConfig"]["containerConfig"]["env"]),
    ):
        taken = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in environment if "valueFrom" in one}
        assert taken.keys() == set(secrets_of(name)), name
        assert taken.pop("DB_PASSWORD") == {"name": CHART_VALUES["existingSecret"], "key": "DB_WORKER_PASSWORD"}
        for secret, source in taken.items():
            assert source == {"name": CHART_VALUES["existingSecret"], "key": secret, "optional": True}
        assert "envSecrets" not in pod


def test_both_charts_mean_the_same_database_image_and_webserver() -> None:
    settings, database = CHART_VALUES["settings"], VALUES["postgresql"]
    graphql = urlsplit(settings["DAGSTER_GRAPHQL_URL"])

    assert database["postgresqlHost"] == settings["DB_HOST"]
    assert database["postgresqlDatabase"] == settings["DB_NAME"]
    assert CHART_VALUES["databaseRoles"] is True
    assert database["postgresqlUsername"] == "moonx_worker"
    for part in PARTS:
        own = {variable["name"]: variable for variable in part["env"]}
        assert own["DB_USER"]["value"] == "moonx_worker"
    assert str(database["service"]["port"]) == settings["DB_PORT"]
    # Of the release "dagster".
    assert graphql.hostname == "dagster-dagster-webserver"
    assert graphql.port == VALUES["dagsterWebserver"]["service"]["port"]
    assert VALUES["dagsterWebserver"]["readinessProbe"]["httpGet"]["port"] == graphql.port
    for image in [part["image"] for part in PARTS] + [ISOLATED["runLauncher"]["config"]["k8sRunLauncher"]["image"]]:
        assert image["repository"] == CHART_VALUES["image"]["repository"]
        assert image["tag"] == __version__


def test_the_code_location_is_called_as_runs_are_asked_for() -> None:
    (code,) = VALUES["dagster-user-deployments"]["deployments"]
    (ours,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]

    assert code["name"] == ours["python_module"]["location_name"]
    assert code["codeServerArgs"] == ["-m", ours["python_module"]["module_name"], "--location-name", code["name"]]


def test_its_pods_are_nobody_and_can_change_nothing() -> None:
    for part in PARTS:
        assert part["podSecurityContext"]["runAsNonRoot"] is True
        assert part["podSecurityContext"]["runAsUser"] == 1001
        assert part["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
        }  # fmt: skip
        assert [mount["mountPath"] for mount in part["volumeMounts"]] == ["/tmp"]  # noqa: S108 - of a container
        for amounts in (part["resources"]["requests"], part["resources"]["limits"]):
            assert amounts.keys() == {"cpu", "memory", "ephemeral-storage"}


@pytest.mark.parametrize("part", ["dagsterDaemon", "dagsterWebserver"])
def test_what_a_pod_of_dagster_waits_with_has_bounds(part: str) -> None:
    waiting = VALUES[part]["initContainerResources"]

    for amounts in (waiting["requests"], waiting["limits"]):
        assert amounts.keys() == {"cpu", "memory", "ephemeral-storage"}


def test_each_of_dagsters_parts_is_looked_after() -> None:
    daemon, webserver, code = PARTS

    assert daemon["livenessProbe"]["exec"]["command"] == ["dagster-daemon", "liveness-check"]
    assert webserver["livenessProbe"]["httpGet"] == {"path": "/server_info", "port": 3000}
    # Its command is the chart's.
    assert code["livenessProbe"].keys() == {
        "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold"
    }  # fmt: skip


def test_nobody_in_the_cluster_may_make_pods_but_who_launches_runs() -> None:
    assert has_cluster_rights(VALUES) == {"dagster": False, "code-server": False}
    assert has_cluster_rights(ISOLATED) == {"dagster": True, "code-server": False}


def test_nothing_comes_with_it_that_the_operator_has() -> None:
    assert not any(VALUES[service]["enabled"] for service in ("postgresql", "redis", "rabbitmq", "flower"))
    assert VALUES["generatePostgresqlPasswordSecret"] is False
    assert VALUES["postgresql"]["postgresqlPassword"] == ""
