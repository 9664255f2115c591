"""What reads deployment files for real: Helm, a scorer of manifests, and Compose's own loader; all built by Go."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from moonx_pipeline_tests.support.geth_node import GETH
from moonx_pipeline_tests.support.go_tools import go_tool

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "moonx"
KUBERNETES = ("1.27.0", "1.37.0")
"""The oldest version that the chart takes, and the newest whose schema the validator has."""

_HELM = {
    3: ("helm.sh/helm/v3/cmd/helm", "v3.22.0", "helm"),
    4: ("helm.sh/helm/v4/cmd/helm", "v4.3.2", "helm"),
}
_SCORE = ("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0", "kube-score")
_COMPOSE = ("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2", "cmd")


def helm(*arguments: str, major: int = 3) -> subprocess.CompletedProcess[str]:
    """Runs Helm."""
    return subprocess.run([str(go_tool(*_HELM[major])), *arguments], capture_output=True, text=True, check=False)


def faults_of(manifests: list[dict[str, Any]], ignored: Iterable[str]) -> set[tuple[str, str, str]]:
    """What the scorer finds critical: the manifest's kind and name, and the check."""
    options = ["--output-format", "json", "--kubernetes-version", f"v{KUBERNETES[-1].rpartition('.')[0]}"]
    done = subprocess.run(
        [str(go_tool(*_SCORE)), "score", *options, "--ignore-test", ",".join(ignored), "-"],
        input=yaml.safe_dump_all(manifests),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return {
        (scored["type_meta"]["kind"], scored["object_meta"]["name"], check["check"]["id"])
        for scored in json.loads(done.stdout)
        for check in scored["checks"]
        if not check["skipped"] and check["grade"] < _WARNING
    }


_WARNING: Final = 5


def render(
    *arguments: str, values: Any = None, kubernetes: str = KUBERNETES[-1], major: int = 3
) -> list[dict[str, Any]]:
    """The chart's manifests with some values, as the release ``moonx``; whoever asks may change them."""
    return deepcopy(_rendered(arguments, yaml.safe_dump(values or {}), kubernetes, major))


@cache
def _rendered(arguments: tuple[str, ...], values: str, kubernetes: str, major: int) -> list[dict[str, Any]]:
    options = ["-n", "moonx", "--kube-version", kubernetes, "-f", "-", *arguments]
    done = subprocess.run(
        [str(go_tool(*_HELM[major])), "template", "moonx", str(CHART), *options],
        input=values,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def load_compose(file: Path) -> subprocess.CompletedProcess[str]:
    """A Compose file, checked and with all that it leaves to be filled in, as JSON; it has no variables."""
    return subprocess.run(
        [str(go_tool(*_COMPOSE)), "-format", "json", file.name],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )


COMPOSE_VARIABLE: Final = re.compile(r"\$\{(\w+):([?-])([^}]*)\}")


def compose_services(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Every service of the Compose file with all that is filled in, as an operator's ``.env`` fills it in.

    Args:
        folder: An empty one.
        variables: What ``.env`` has; what the file can't do without has to be there.
    """

    def value_of(found: re.Match[str]) -> str:
        value = variables[found[1]] if found[2] == "?" else variables.get(found[1]) or found[3]
        return json.dumps(value)[1:-1].replace("$", "$$")

    for name in ("compose.yaml", "compose.settings.yaml"):
        (folder / name).write_text(COMPOSE_VARIABLE.sub(value_of, (DEPLOY / name).read_text()))
    done = load_compose(folder / "compose.yaml")
    assert done.returncode == 0, done.stderr
    assert "WARN" not in done.stderr.upper(), done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    for service in services.values():
        if isinstance(given := service.get("environment"), list):  # of what extends another service
            service["environment"] = dict(variable.split("=", 1) for variable in given)
            assert len(service["environment"]) == len(given), "a variable is given twice"
    return services


def image_variables() -> dict[str, str]:
    """The variables that the Dockerfile gives whatever runs in the image."""
    joined = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    last = joined[joined.rindex("\nFROM") :]
    words = shlex.split(" ".join(re.findall(r"^ENV (.*)$", last, re.MULTILINE)))
    return dict(word.split("=", 1) for word in words)


if __name__ == "__main__":  # so that a new machine can build them before it runs tests
    for tool in (*_HELM.values(), _SCORE, _COMPOSE, GETH):
        go_tool(*tool)
