"""Files that are made from others: ``python -m moonx_pipeline_tests.deploy.generated`` writes them anew."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import yaml

from moonx_pipeline.settings.load import rows, secrets_of
from moonx_pipeline.settings.parts import PARTS
from moonx_pipeline_tests.deploy.tools import CHART, DEPLOY, KUBERNETES, helm, image_variables

_FIXED_BY_THE_CHART = {
    "MOONX_HOME", "GATEWAY_HOST", "GATEWAY_PORT", "GATEWAY_METRICS_PORT", "METRICS_HOST", "METRICS_PORT", "PORT",
    "RELAY_METRICS_PORT", "WORKER_CONCURRENCY",
}  # fmt: skip
_OF_THE_CHART = ("gateway", "relay", "worker", "migrate")
"""Its parts; the others are of Dagster's own chart."""

_HEADER = (
    "# The chart deploy/helm/moonx with its default values, for a cluster without Helm. Made by\n"
    "# 'python -m moonx_pipeline_tests.deploy.generated': change the chart, or a copy of this.\n"
)


_HEADER_OF_SECRETS = (
    "# The secrets that each part reads. Made by 'python -m moonx_pipeline_tests.deploy.generated' from\n"
    "# moonx_pipeline/settings/parts.py.\n"
)
_HEADER_OF_COMPOSE = (
    "# What each part of compose.yaml takes from .env: settings that are no secrets, and the secrets that it reads.\n"
    "# Made by 'python -m moonx_pipeline_tests.deploy.generated' from moonx_pipeline/settings/parts.py.\n"
)


def generated_files() -> dict[Path, str]:
    """What each of the files ought to be."""
    return {
        CHART / "secrets.yaml": _secrets(),
        DEPLOY / "compose.settings.yaml": _compose_settings(),
        DEPLOY / "k8s" / "1-migrate.yaml": _manifests("--show-only", "templates/migrate.yaml"),
        DEPLOY / "k8s" / "2-moonx.yaml": _manifests("--no-hooks"),
        CHART / "values.schema.json": _schema(),
    }


def _manifests(*arguments: str) -> str:
    done = helm("template", "moonx", str(CHART), "--namespace", "moonx", "--kube-version", KUBERNETES[-1], *arguments)
    assert done.returncode == 0, done.stderr
    return _HEADER + done.stdout.replace("app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kubectl")


def _secrets() -> str:
    """The chart's own list: of each of its parts, the secrets' names."""
    lines = [f"{part}:\n" + "".join(f"  - {name}\n" for name in secrets_of(part)) for part in _OF_THE_CHART]
    return _HEADER_OF_SECRETS + "".join(lines)


def _compose_settings() -> str:
    """A service for each of our parts, for compose.yaml to extend."""
    fixed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["x-part"]["environment"].keys()
    image = image_variables()

    def variables(names: Iterable[str], indent: str) -> str:
        taken = [name for name in names if name not in fixed]
        return "".join(f'{indent}{name}: "${{{name}:-{image.get(name, "")}}}"\n' for name in taken)

    plain = (name for row in rows() if not row.secret for name in row.names)
    text = _HEADER_OF_COMPOSE + f"x-plain: &plain\n{variables(plain, '  ')}\nservices:\n"
    for part in PARTS:
        text += f"  {part}:\n    environment:\n      <<: *plain\n{variables(secrets_of(part), ' ' * 6)}"
    return text


def _schema() -> str:
    """The values' schema, with the names of today's settings."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    schema["properties"]["settings"]["propertyNames"]["enum"] = plain_names()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def plain_names() -> list[str]:
    """Settings that may stand in the chart's values: no secrets, and nothing that the chart decides itself."""
    return sorted({name for row in rows() if not row.secret for name in row.names} - _FIXED_BY_THE_CHART)


def main() -> None:
    # The chart's own list comes first: manifests are rendered with it.
    (CHART / "secrets.yaml").write_text(_secrets())
    for file, content in generated_files().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)


if __name__ == "__main__":
    main()
