"""Files that are made from others: ``python -m moonx_pipeline_tests.deploy.generated`` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path

from moonx_pipeline.settings.load import rows
from moonx_pipeline_tests.deploy.tools import CHART, DEPLOY, KUBERNETES, helm

_FIXED_BY_THE_CHART = {
    "MOONX_HOME", "GATEWAY_HOST", "GATEWAY_PORT", "GATEWAY_METRICS_PORT", "METRICS_HOST", "METRICS_PORT", "PORT",
    "RELAY_METRICS_PORT", "WORKER_CONCURRENCY",
}  # fmt: skip
_HEADER = (
    "# The chart deploy/helm/moonx with its default values, for a cluster without Helm. Made by\n"
    "# 'python -m moonx_pipeline_tests.deploy.generated': change the chart, or a copy of this.\n"
)


def generated_files() -> dict[Path, str]:
    """What each of the files ought to be."""
    return {
        DEPLOY / "k8s" / "1-migrate.yaml": _manifests("--show-only", "templates/migrate.yaml"),
        DEPLOY / "k8s" / "2-moonx.yaml": _manifests("--no-hooks"),
        CHART / "values.schema.json": _schema(),
    }


def _manifests(*arguments: str) -> str:
    done = helm("template", "moonx", str(CHART), "--namespace", "moonx", "--kube-version", KUBERNETES[-1], *arguments)
    assert done.returncode == 0, done.stderr
    return _HEADER + done.stdout.replace("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")


def _schema() -> str:
    """The values' schema, with the names of today's settings."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    schema["properties"]["settings"]["propertyNames"]["enum"] = plain_names()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def plain_names() -> list[str]:
    """Settings that may stand in the chart's values: no secrets, and nothing that the chart decides itself."""
    return sorted({name for row in rows() if not row.secret for name in row.names} - _FIXED_BY_THE_CHART)


def main() -> None:
    for file, content in generated_files().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)


if __name__ == "__main__":
    main()
