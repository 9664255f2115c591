"""What reads deployment files for real: Helm, a scorer of manifests, and Compose's own loader; all built by Go."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import fasteners
import yaml

from moonx_pipeline_tests.fixtures.missing import unavailable

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "moonx"
KUBERNETES = ("1.27.0", "1.37.0")
"""The oldest version that the chart takes, and the newest whose schema the validator has."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "moonx"
"""What takes minutes to make and is the same for every checkout."""

_HELM = {
    3: ("helm.sh/helm/v3/cmd/helm", "v3.22.0", "helm"),
    4: ("helm.sh/helm/v4/cmd/helm", "v4.3.2", "helm"),
}
_SCORE = ("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0", "kube-score")
_COMPOSE = ("github.com/compose-spec/compose-go/v2/cmd", "v2.16.2", "cmd")
BUILD_SECONDS = 1800
"""The first build of Helm takes minutes on two cores; then it is kept in the user's cache."""


@functools.cache
def _go_tool(package: str, version: str, name: str) -> Path:
    tool = CACHE / f"{package.replace('/', '-')}-{version}" / name
    tool.parent.mkdir(parents=True, exist_ok=True)
    with fasteners.InterProcessLock(tool.parent / "lock"):  # sessions side by side build it once
        _build(package, version, tool)
    return tool


def _build(package: str, version: str, tool: Path) -> None:
    if not tool.exists():
        if shutil.which("go") is None:
            unavailable(f"{package} needs Go, which is not on this machine.")
        done = subprocess.run(
            ["go", "install", "-ldflags", "-s -w", f"{package}@{version}"],
            env={**os.environ, "GOBIN": str(tool.parent), "GOFLAGS": "-buildvcs=false"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            unavailable(f"{package} could not be had from the Go module proxy: {done.stderr[-400:]}")


def helm(*arguments: str, major: int = 3) -> subprocess.CompletedProcess[str]:
    """Runs Helm."""
    return subprocess.run([str(_go_tool(*_HELM[major])), *arguments], capture_output=True, text=True, check=False)


def faults_of(manifests: list[dict[str, Any]], ignored: Iterable[str]) -> set[tuple[str, str, str]]:
    """What the scorer finds critical: the manifest's kind and name, and the check."""
    options = ["--output-format", "json", "--kubernetes-version", f"v{KUBERNETES[-1].rpartition('.')[0]}"]
    done = subprocess.run(
        [str(_go_tool(*_SCORE)), "score", *options, "--ignore-test", ",".join(ignored), "-"],
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
    """The chart's manifests with some values, as the release ``moonx``."""
    options = ["-n", "moonx", "--kube-version", kubernetes, "-f", "-", *arguments]
    done = subprocess.run(
        [str(_go_tool(*_HELM[major])), "template", "moonx", str(CHART), *options],
        input=yaml.safe_dump(values or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def load_compose(file: Path) -> subprocess.CompletedProcess[str]:
    """A Compose file, checked and with all that it leaves to be filled in, as JSON; it has no variables."""
    return subprocess.run(
        [str(_go_tool(*_COMPOSE)), "-format", "json", file.name],
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":  # so that a new machine can build them before it runs tests
    for tool in (*_HELM.values(), _SCORE, _COMPOSE):
        _go_tool(*tool)
