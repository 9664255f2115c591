"""What Dagster's own chart takes and renders, as far as our values use it.

The chart can't be had from a package registry, so this is written by hand from its files: the models in
``helm/dagster/schema/schema/charts``, ``templates/configmap-instance.yaml`` and ``templates/helpers/instance`` of
https://github.com/dagster-io/dagster, read file by file, not all at one
version. Before a first installation, and whenever the version moves, render our values with the chart itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_ENVIRONMENT = ("env", "envConfigMaps", "envSecrets")
_POD = [
    "affinity",
    "annotations",
    "labels",
    "livenessProbe",
    "nodeSelector",
    "podSecurityContext",
    "readinessProbe",
    "resources",
    "schedulerName",
    "securityContext",
    "startupProbe",
    "tolerations",
    "volumeMounts",
    "volumes",
]
_IMAGE = {"repository": None, "tag": None, "pullPolicy": None}
_CLASS = {"module": None, "class": None, "config": None}
_THREADS = {"useThreads": None, "numWorkers": None, "numSubmitWorkers": None}


def _with(*names: str, **more: Any) -> dict[str, Any]:
    return {**dict.fromkeys(names), **more}


_TICKS = {"purgeAfterDays": _with("skipped", "success", "failure", "started")}
ACCEPTED: Mapping[str, Any] = {
    "global": _with("postgresqlSecretName", "dagsterHome", "serviceAccountName", "celeryConfigSecretName"),
    "rbacEnabled": None,
    "generatePostgresqlPasswordSecret": None,
    "generateCeleryConfigSecret": None,
    "postgresql": _with(
        "enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword", "postgresqlDatabase",
        "postgresqlParams", "postgresqlScheme", image=_IMAGE, service=_with("port"),
    ),
    "rabbitmq": _with("enabled"),
    "redis": _with("enabled", "internal"),
    "flower": _with("enabled"),
    "telemetry": _with("enabled"),
    "computeLogManager": _with("type", "config"),
    "pythonLogs": _with("pythonLogLevel", "managedPythonLoggers", "dagsterHandlerConfig"),
    "retention": _with("enabled", schedule=_TICKS, sensor=_TICKS, autoMaterialize=_TICKS),
    "runLauncher": _with(
        "type",
        config={
            "customRunLauncher": _CLASS,
            "k8sRunLauncher": _with(
                "imagePullPolicy", "jobNamespace", "loadInclusterConfig", "kubeconfigFile", "envConfigMaps",
                "envSecrets", "envVars", "volumeMounts", "volumes", "labels", "failPodOnRunFailure", "resources",
                "schedulerName",
                "securityContext", image=_IMAGE,
                runK8sConfig=_with(
                    "containerConfig", "podSpecConfig", "podTemplateSpecMetadata", "jobSpecConfig", "jobMetadata"
                ),
            ),
        },
    ),
    "dagsterDaemon": _with(
        "enabled", "heartbeatTolerance", "deploymentLabels", "initContainerResources", *_ENVIRONMENT, *_POD,
        image=_IMAGE,
        runCoordinator=_with(
            "enabled", "type",
            config={
                "customRunCoordinator": _CLASS,
                "queuedRunCoordinator": _with(
                    "maxConcurrentRuns", "tagConcurrencyLimits", "dequeueIntervalSeconds", "dequeueNumWorkers",
                    "dequeueUseThreads",
                ),
            },
        ),
        runMonitoring=_with(
            "enabled", "startTimeoutSeconds", "cancelTimeoutSeconds", "pollIntervalSeconds", "maxResumeRunAttempts",
            "freeSlotsAfterRunEndSeconds",
        ),
        runRetries=_with("enabled", "maxRetries"),
        sensors=_THREADS,
        schedules=_THREADS,
    ),
    "dagsterWebserver": _with(
        "replicaCount", "nameOverride", "pathPrefix", "enableReadOnly", "dbStatementTimeout", "dbPoolRecycle",
        "logLevel", "deploymentLabels", "workspace", "initContainerResources", *_ENVIRONMENT, *_POD, image=_IMAGE,
        service=_with("type", "port", "annotations"),
    ),
    "dagster-user-deployments": _with(
        "enabled", "enableSubchart", "imagePullSecrets", "rbacEnabled",
        deployments=[
            _with(
                "name", "dagsterApiGrpcArgs", "codeServerArgs", "port", *_ENVIRONMENT, *_POD, image=_IMAGE,
                includeConfigInLaunchedRuns=_with("enabled"),
            )
        ],
    ),
}  # fmt: skip
"""Keys that the chart's schema knows; ``None`` where what stands below is Kubernetes' or free."""


_USER_DEPLOYMENTS = "dagster-user-deployments"
"""The chart of the code servers, inside the other; what has its name."""


def deployment_labels(release: str) -> dict[str, dict[str, str]]:
    """The labels that the chart gives its Deployments, by what they run."""
    own = {"app.kubernetes.io/name": "dagster", "app.kubernetes.io/instance": release}
    return {
        "webserver": {**own, "component": "dagster-webserver"},
        "webserver-read-only": {**own, "component": "dagster-webserver-read-only"},
        "daemon": {**own, "component": "dagster-daemon", "deployment": "daemon"},
        "code-server": {
            **own, "app.kubernetes.io/name": _USER_DEPLOYMENTS, "component": "user-deployments", "deployment": "moonx"
        },
    }  # fmt: skip


def has_cluster_rights(values: Mapping[str, Any]) -> dict[str, bool]:
    """Which service accounts the chart gives a role that makes pods and jobs: each chart looks at its own value."""
    return {
        "dagster": values.get("rbacEnabled", True),
        "code-server": values[_USER_DEPLOYMENTS].get("rbacEnabled", True),
    }


def unknown_keys(values: Any, accepted: Any = ACCEPTED, path: str = "") -> Iterator[str]:
    """Paths of what the chart would refuse, or not look at."""
    if isinstance(accepted, Mapping):
        for name, value in values.items():
            if name not in accepted:
                yield f"{path}{name}"
            else:
                yield from unknown_keys(value, accepted[name], f"{path}{name}.")
    elif isinstance(accepted, list):
        for number, value in enumerate(values):
            yield from unknown_keys(value, accepted[0], f"{path}{number}.")


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values with another file on top, as Helm lays them: key by key, and lists as a whole."""
    return {
        **values,
        **{
            name: merged(values[name], value)
            if isinstance(value, Mapping) and isinstance(values.get(name), Mapping)
            else value
            for name, value in over.items()
        },
    }


def instance_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """The ``dagster.yaml`` that the chart renders from values."""
    daemon, retention = values["dagsterDaemon"], values["retention"]
    coordinator, monitoring = daemon["runCoordinator"], daemon["runMonitoring"]
    database = {"postgres_db": _postgres(values["postgresql"])}
    return {
        "run_storage": {"module": "dagster_postgres.run_storage", "class": "PostgresRunStorage", "config": database},
        "event_log_storage": {
            "module": "dagster_postgres.event_log", "class": "PostgresEventLogStorage", "config": database
        },
        "schedule_storage": {
            "module": "dagster_postgres.schedule_storage", "class": "PostgresScheduleStorage", "config": database
        },
        "run_launcher": _launcher(values),
        "run_coordinator": _coordinator(coordinator),
        "compute_logs": {
            "module": "dagster._core.storage.noop_compute_log_manager", "class": values["computeLogManager"]["type"]
        },
        "python_logs": {"python_log_level": values["pythonLogs"]["pythonLogLevel"]},
        "run_monitoring": {
            "enabled": monitoring["enabled"],
            "start_timeout_seconds": monitoring["startTimeoutSeconds"],
            "cancel_timeout_seconds": monitoring["cancelTimeoutSeconds"],
            "max_resume_run_attempts": 0,
            "poll_interval_seconds": monitoring["pollIntervalSeconds"],
            "free_slots_after_run_end_seconds": 0,
        },
        "sensors": _threads(daemon["sensors"]),
        "schedules": _threads(daemon["schedules"]),
        "telemetry": {"enabled": values["telemetry"]["enabled"]},
        "retention": {
            kind: {"purge_after_days": retention[kind]["purgeAfterDays"]} for kind in ("schedule", "sensor")
        },
    }  # fmt: skip


def _postgres(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "username": values["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": values["postgresqlHost"],
        "db_name": values["postgresqlDatabase"],
        "port": values["service"]["port"],
        "params": values["postgresqlParams"],
        "scheme": values["postgresqlScheme"],
    }


def _launcher(values: Mapping[str, Any]) -> dict[str, Any]:
    launcher = values["runLauncher"]
    if launcher["type"] == "CustomRunLauncher":
        custom: dict[str, Any] = launcher["config"]["customRunLauncher"]
        return custom
    pods = launcher["config"]["k8sRunLauncher"]
    raw = pods["runK8sConfig"]
    return {
        "module": "dagster_k8s",
        "class": "K8sRunLauncher",
        "config": {
            "load_incluster_config": pods["loadInclusterConfig"],
            "job_namespace": "moonx",
            "image_pull_policy": pods["imagePullPolicy"],
            "service_account_name": "dagster",
            "job_image": f"{pods['image']['repository']}:{pods['image']['tag']}",
            "dagster_home": {"env": "DAGSTER_HOME"},
            "instance_config_map": {"env": "DAGSTER_K8S_INSTANCE_CONFIG_MAP"},
            "postgres_password_secret": {"env": "DAGSTER_K8S_PG_PASSWORD_SECRET"},
            "env_config_maps": [
                {"env": "DAGSTER_K8S_PIPELINE_RUN_ENV_CONFIGMAP"}, *(source["name"] for source in pods["envConfigMaps"])
            ],
            "env_secrets": [source["name"] for source in pods.get("envSecrets", [])],
            "env_vars": pods["envVars"],
            "volume_mounts": pods["volumeMounts"],
            "volumes": pods["volumes"],
            "resources": pods["resources"],
            "run_k8s_config": {
                "container_config": raw["containerConfig"],
                "pod_spec_config": raw["podSpecConfig"],
                "job_spec_config": raw["jobSpecConfig"],
            },
        },
    }  # fmt: skip


def _coordinator(values: Mapping[str, Any]) -> dict[str, Any]:
    if values["type"] == "CustomRunCoordinator":
        custom: dict[str, Any] = values["config"]["customRunCoordinator"]
        return custom
    queue = values["config"]["queuedRunCoordinator"]
    return {
        "module": "dagster._core.run_coordinator",
        "class": "QueuedRunCoordinator",
        "config": {
            "max_concurrent_runs": queue["maxConcurrentRuns"],
            "dequeue_interval_seconds": queue["dequeueIntervalSeconds"],
            "dequeue_use_threads": queue["dequeueUseThreads"],
            "dequeue_num_workers": queue["dequeueNumWorkers"],
        },
    }


def _threads(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"use_threads": values["useThreads"], "num_workers": values["numWorkers"]}
