"""The chart: what it refuses, and what holds for everything it renders."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from sqlalchemy import Engine

from moonx_pipeline import __version__
from moonx_pipeline.cli import COMMANDS
from moonx_pipeline.settings.load import Settings, known_names, rows
from moonx_pipeline_tests.deploy.manifests import OF_OTHERS, Manifest, of_kind, pod_templates, selects
from moonx_pipeline_tests.deploy.tools import CHART, DEPLOY, KUBERNETES, ROOT, faults_of, helm, render
from moonx_pipeline_tests.support.go_tools import BUILD_SECONDS

pytestmark = pytest.mark.timeout(BUILD_SECONDS)

PARTS = ("worker", "relay", "gateway")
SECRETS = {name for row in rows() if row.secret for name in row.names}
EVERYTHING = {
    "imagePullSecrets": [{"name": "registry"}],
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "batch", "operator": "Exists"}],
    "worker": {"keda": {"enabled": True}},
    "gateway": {"ingress": {"enabled": True, "tlsSecret": "tls"}},
    "networkPolicy": {"extraEgressPorts": [8545]},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
}
LITTLE = {
    "settings": {"KAFKA_BROKERS": None, "REDIS_HOST": None, "DAGSTER_GRAPHQL_URL": None},
    "worker": {"autoscaling": {"enabled": False}},
    "gateway": {"autoscaling": {"enabled": False}},
    "networkPolicy": {"enabled": False},
}
COMBINATIONS = pytest.mark.parametrize(
    "values", [{}, EVERYTHING, LITTLE], ids=["as it comes", "everything", "as little as can be"]
)
SERVICE_LINKS = {
    f"{service}_{end}": value
    for service in ("REDIS", "KAFKA", "POSTGRESQL", "MOONX", "MOONX_GATEWAY", "DAGSTER_DAGSTER_WEBSERVER")
    for end, value in {
        "SERVICE_HOST": "10.0.0.9", "SERVICE_PORT": "1234", "SERVICE_PORT_HTTP": "1234", "PORT": "tcp://10.0.0.9:1234",
        "PORT_1234_TCP": "tcp://10.0.0.9:1234", "PORT_1234_TCP_ADDR": "10.0.0.9", "PORT_1234_TCP_PROTO": "tcp",
    }.items()
}  # fmt: skip


@pytest.mark.parametrize("major", [3, 4])
def test_helm_has_nothing_to_say_about_the_chart(major: int) -> None:
    done = helm("lint", "--strict", "--kube-version", KUBERNETES[-1], str(CHART), major=major)

    assert done.returncode == 0, done.stdout


@COMBINATIONS
def test_both_helms_render_the_same(values: Any) -> None:
    assert render(values=values, major=3) == render(values=values, major=4)


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["as it comes", "everything"])
def test_the_scorer_finds_no_fault_in_the_manifests(values: Any) -> None:
    ignored = (
        "container-image-pull-policy",  # the tag is a version, which is never pushed twice
        "container-security-context-user-group-id",  # it wants ids above 10000; ours is 1001 everywhere
    )
    faults = faults_of(render(values=values), ignored)

    # Dagster's chart has the pods.
    assert {fault for fault in faults if "-dagster-" not in fault[1]} == set()
    assert {check for _, _, check in faults} <= {"networkpolicy-targets-pod"}


def test_the_scorer_sees_a_pod_that_may_write_without_bounds() -> None:
    manifests = render(values={"worker": {"resources": {"limits": {"ephemeral-storage": None}}}})

    assert ("Deployment", "moonx-worker", "container-ephemeral-storage-request-and-limit") in faults_of(manifests, ())


def test_the_chart_and_its_image_are_of_the_packages_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["version"] == chart["appVersion"] == __version__
    assert {pod["spec"]["containers"][0]["image"] for _, pod in pod_templates(render())} == {
        f"moonx-pipeline:{__version__}"
    }


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@COMBINATIONS
def test_kubernetes_takes_every_manifest(values: Any, kubernetes: str) -> None:
    for manifest in render(values=values, kubernetes=kubernetes):
        others = OF_OTHERS.get(manifest["apiVersion"], {})
        if manifest["kind"] in others:
            jsonschema.validate(manifest["spec"], others[manifest["kind"]])
        else:
            kubernetes_validate.validate(manifest, kubernetes, strict=True)


@COMBINATIONS
def test_no_name_is_given_twice(values: Any) -> None:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in render(values=values)]

    assert len(names) == len(set(names))


@COMBINATIONS
def test_a_pod_is_nobody_and_can_change_nothing(values: Any) -> None:
    for _, pod in pod_templates(render(values=values)):
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"] == {
            "runAsNonRoot": True, "runAsUser": 1001, "runAsGroup": 1001, "fsGroup": 1001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }  # fmt: skip
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
        }  # fmt: skip
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - of a container
        assert container["resources"].keys() == {"requests", "limits"}
        assert container["args"][0] == "moonx"
        assert container["args"][1] in COMMANDS


def test_requests_and_limits_are_those_that_were_measured_for() -> None:
    for _, pod in pod_templates(of_kind(render(), "Deployment").values()):
        resources = pod["spec"]["containers"][0]["resources"]
        assert resources["requests"]["memory"] == "256Mi"
        assert resources["limits"] == {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "512Mi"}


@COMBINATIONS
def test_what_a_pod_may_write_is_requested_and_bounded(values: Any) -> None:
    for _, pod in pod_templates(render(values=values)):
        resources = pod["spec"]["containers"][0]["resources"]
        (tmp,) = pod["spec"]["volumes"]
        assert _mebibytes(resources["requests"]["ephemeral-storage"]) > 0
        assert _mebibytes(resources["limits"]["ephemeral-storage"]) > _mebibytes(tmp["emptyDir"]["sizeLimit"])


@pytest.mark.parametrize(("part", "ports"), [("worker", [3001]), ("relay", [3001]), ("gateway", [3007, 3001])])
def test_probes_ask_where_the_part_answers(part: str, ports: list[int]) -> None:
    port = 3001
    container = of_kind(render(), "Deployment")[f"moonx-{part}"]["spec"]["template"]["spec"]["containers"][0]

    assert [declared["containerPort"] for declared in container["ports"]] == ports
    assert container["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": port}
    assert container["startupProbe"]["httpGet"] == {"path": "/health/live", "port": port}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": port}
    setting = {"worker": "METRICS_PORT", "relay": "RELAY_METRICS_PORT", "gateway": "GATEWAY_METRICS_PORT"}[part]
    assert {"name": setting, "value": str(port)} in container["env"]


@pytest.mark.parametrize("shutdown_ms", [30000, 90000])
def test_a_worker_is_given_longer_to_stop_than_it_takes(shutdown_ms: int) -> None:
    worker = of_kind(render(values={"settings": {"CLUSTER_SHUTDOWN_TIMEOUT": shutdown_ms}}), "Deployment")[
        "moonx-worker"
    ]
    # It looks for ten seconds more whether what it handed back was noticed.
    assert worker["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > shutdown_ms / 1000 + 10


def test_a_gateway_serves_on_until_nobody_is_sent_to_it() -> None:
    spec = of_kind(render(), "Deployment")["moonx-gateway"]["spec"]["template"]["spec"]
    waits = int(spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1])

    assert waits + 5 < spec["terminationGracePeriodSeconds"]  # it lets requests end for five seconds


def test_a_new_version_takes_no_replica_away() -> None:
    deployments = of_kind(render(), "Deployment")

    assert deployments.keys() == {f"moonx-{part}" for part in PARTS}
    for deployment in deployments.values():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@COMBINATIONS
def test_replicas_keep_apart_and_are_drained_one_at_a_time(values: Any) -> None:
    manifests = render(values=values)
    pods = dict(pod_templates(manifests))
    assert of_kind(manifests, "PodDisruptionBudget").keys() == {f"moonx-{part}" for part in PARTS}
    for name, budget in of_kind(manifests, "PodDisruptionBudget").items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert selects(budget["spec"]["selector"]["matchLabels"], pods[name])
        spec = pods[name]["spec"]
        (apart,) = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        assert apart["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
        assert selects(apart["podAffinityTerm"]["labelSelector"]["matchLabels"], pods[name])
        (zones,) = spec["topologySpreadConstraints"]
        assert selects(zones["labelSelector"]["matchLabels"], pods[name])


@COMBINATIONS
def test_whatever_selects_pods_selects_those_of_one_part(values: Any) -> None:
    manifests = render(values=values)
    pods = dict(pod_templates(manifests))
    selectors = {
        **{
            f"Deployment {n}": m["spec"]["selector"]["matchLabels"] for n, m in of_kind(manifests, "Deployment").items()
        },
        **{
            f"Service {n.removesuffix('-metrics')}{' of metrics' * n.endswith('-metrics')}": m["spec"]["selector"]
            for n, m in of_kind(manifests, "Service").items()
        },
        **{
            f"NetworkPolicy {n}": m["spec"]["podSelector"]["matchLabels"]
            for n, m in of_kind(manifests, "NetworkPolicy").items()
            if "-dagster-" not in n
        },
    }
    for who, selector in selectors.items():
        assert [name for name, pod in pods.items() if selects(selector, pod)] == [who.split()[1]], who


def test_services_send_to_ports_that_are_open() -> None:
    manifests = render(values=EVERYTHING)
    pods = dict(pod_templates(manifests))
    services, monitors = of_kind(manifests, "Service"), of_kind(manifests, "ServiceMonitor")
    assert services
    assert monitors
    for name, service in services.items():
        (port,) = service["spec"]["ports"]
        (container,) = pods[name.removesuffix("-metrics")]["spec"]["containers"]
        assert port["targetPort"] in {declared["name"] for declared in container["ports"]}
    for monitor in monitors.values():
        (service,) = (
            service
            for service in services.values()
            if selects(monitor["spec"]["selector"]["matchLabels"], service)
            and monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
        )
        assert service["spec"]["ports"][0]["port"] == 3001


@pytest.mark.parametrize("part", ["worker", "gateway"])
def test_the_autoscaler_goes_by_seventy_percent_of_cpu_and_eighty_of_memory(part: str) -> None:
    manifests = render()
    scaler = of_kind(manifests, "HorizontalPodAutoscaler")[f"moonx-{part}"]["spec"]
    deployment = of_kind(manifests, "Deployment")[f"moonx-{part}"]
    limit = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]

    assert scaler["scaleTargetRef"]["name"] == f"moonx-{part}"
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
    cpu, memory = (metric["resource"] for metric in scaler["metrics"])
    assert cpu == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    assert _mebibytes(memory["target"]["averageValue"]) == pytest.approx(0.8 * _mebibytes(limit), abs=1)
    assert "replicas" not in deployment["spec"], "each upgrade would undo what the autoscaler did"


def _mebibytes(quantity: str) -> int:
    number = re.fullmatch(r"(\d+)Mi", quantity)
    assert number, quantity
    return int(number[1])


def test_keda_takes_the_place_of_the_workers_autoscaler(engine: Engine) -> None:
    manifests = render(values=EVERYTHING)

    assert of_kind(manifests, "HorizontalPodAutoscaler").keys() == {"moonx-gateway"}
    scaled = of_kind(manifests, "ScaledObject")["moonx-worker"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == "moonx-worker"
    query = next(t["metadata"]["query"] for t in scaled["triggers"] if t["type"] == "postgresql")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO sync_requests (id, user_id, source, priority, status) VALUES "
            "(gen_random_uuid(), %s, 'api', 'high', 'pending'), (gen_random_uuid(), %s, 'api', 'high', 'done')",
            ("u1", "u2"),
        )
        assert connection.exec_driver_sql(query).scalar() == 1


def test_the_schema_is_migrated_before_anything_else_changes() -> None:
    manifests = render()
    job = of_kind(manifests, "Job")["moonx-migrate"]
    settings = of_kind(manifests, "ConfigMap")["moonx-settings"]["data"]
    container = job["spec"]["template"]["spec"]["containers"][0]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert container["args"] == ["moonx", "migrate", "--roles"]
    # The ConfigMap is not there yet, or still the old one.
    assert "envFrom" not in container
    assert settings.items() <= {variable["name"]: variable.get("value") for variable in container["env"]}.items()


def test_pods_reach_the_services_that_the_settings_name_and_no_other_port() -> None:
    policies = of_kind(
        render(
            values={
                "settings": {
                    "DB_PORT": 6543, "REDIS_PORT": "6380", "KAFKA_BROKERS": "a:9094, b:9095",
                    "DAGSTER_GRAPHQL_URL": "http://dagster:8080/graphql",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.tracing:4318",
                },
                "networkPolicy": {"extraEgressPorts": [8545]},
            }
        ),
        "NetworkPolicy",
    )  # fmt: skip
    assert _ports(policies["moonx-worker"], "egress") == {53, 6543, 6380, 9094, 9095, 8080, 4318, 443, 8545}
    assert _ports(policies["moonx-migrate"], "egress") == {53, 6543}
    assert _ports(policies["moonx-worker"], "ingress") == {3001}
    assert _ports(policies["moonx-gateway"], "ingress") == {3001, 3007}
    assert _ports(policies["moonx-migrate"], "ingress") == set()


def test_dagsters_parts_are_reached_by_who_needs_them_only() -> None:
    policies = {
        name.removeprefix("moonx-dagster-"): policy["spec"]
        for name, policy in of_kind(render(), "NetworkPolicy").items()
        if "-dagster-" in name
    }
    ours = pod_labels("gateway"), pod_labels("worker")

    assert policies.keys() == {"webserver", "code-server", "daemon"}
    assert policies["daemon"]["ingress"] == []
    (to_webserver,), (to_code,) = policies["webserver"]["ingress"], policies["code-server"]["ingress"]
    assert (to_webserver["ports"], to_code["ports"]) == (
        [{"protocol": "TCP", "port": 3000}], [{"protocol": "TCP", "port": 4000}]
    )  # fmt: skip
    assert to_code["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "dagster"}}}]
    parts, proxy = (peer["podSelector"] for peer in to_webserver["from"])
    assert proxy == {"matchLabels": {"app.kubernetes.io/name": "oauth2-proxy"}}
    (component,) = parts["matchExpressions"]
    for labels in ours:
        assert parts["matchLabels"].items() <= labels.items()
        assert labels[component["key"]] in component["values"]
    assert pod_labels("relay")[component["key"]] not in component["values"]


def pod_labels(part: str) -> dict[str, str]:
    labels: dict[str, str] = dict(pod_templates(render()))[f"moonx-{part}"]["metadata"]["labels"]
    return labels


def _ports(policy: Manifest, direction: str) -> set[int]:
    return {port["port"] for rule in policy["spec"][direction] for port in rule["ports"]}


def test_the_world_sees_the_page_and_the_api_and_not_the_metrics() -> None:
    (ingress,) = of_kind(render(values=EVERYTHING), "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    exact = {path["path"] for path in rule["http"]["paths"] if path["pathType"] == "Exact"}
    prefixes = {path["path"] for path in rule["http"]["paths"] if path["pathType"] == "Prefix"}

    assert {"/api", "/socket.io", "/assets", "/admin", "/docs"} <= prefixes
    files = [file.name for file in (ROOT / "web" / "public").iterdir() if file.is_file()]
    assert {"/", "/openapi.json", *(f"/{name}" for name in files)} <= exact
    assert not {"/", "/health", "/metrics"} & prefixes
    timeouts = {int(v) for k, v in ingress["metadata"]["annotations"].items() if k.endswith("-timeout")}
    assert min(timeouts) > 60, "a socket that says nothing for a while is not dead"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"wokrer": {}}, "wokrer"),
        ({"worker": {"repicas": 3}}, "repicas"),
        ({"settings": {"DB_PASSWORD": "x"}}, "DB_PASSWORD"),
        ({"settings": {"WORKER_TIMEOOT": "1"}}, "WORKER_TIMEOOT"),
        ({"settings": {"METRICS_PORT": "9000"}}, "METRICS_PORT"),
        ({"existingSecret": ""}, "existingSecret"),
        ({"partSecrets": {"webserver": "x"}}, "webserver"),
        ({"worker": {"resources": {"limits": {"memory": "512 MB"}}}}, "memory"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: Any, why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        render(values=values)


@COMBINATIONS
def test_every_variable_is_a_setting_and_none_of_them_a_secret(values: Any) -> None:
    manifests = render(values=values)
    names = set(of_kind(manifests, "ConfigMap")["moonx-settings"]["data"])
    for _, pod in pod_templates(manifests):
        # A secret is taken from the Secret.
        names |= {one["name"] for one in pod["spec"]["containers"][0]["env"] if one.get("value")}

    assert names <= known_names()
    assert not names & SECRETS
    assert not of_kind(manifests, "Secret")


def test_the_settings_as_they_come_can_be_used_in_production_wherever_they_are_read() -> None:
    """Dagster's pods have the same settings, and what Kubernetes adds for each service of their namespace."""
    data = of_kind(render(), "ConfigMap")["moonx-settings"]["data"]
    secret = {"DB_PASSWORD": "x", "REDIS_PASSWORD": "x", "ALCHEMY_API_KEY": "x", "JWT_SECRET": "x" * 40}

    settings = Settings.from_environment({**SERVICE_LINKS, **data, **secret})

    assert settings.service.env == "production"
    assert settings.database.url is not None
    assert settings.broker.url is not None
    assert settings.kafka.brokers


def test_no_network_chooses_its_own_address_until_the_operator_allows_it() -> None:
    data = of_kind(render(), "ConfigMap")["moonx-settings"]["data"]

    assert data["GATEWAY_TRUSTED_PROXIES"] == ""


def test_alerts_are_those_of_the_prometheus_folder() -> None:
    (rule,) = of_kind(render(values=EVERYTHING), "PrometheusRule").values()

    assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())
