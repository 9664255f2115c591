"""Files that are made from others are what they would be made as today."""

from __future__ import annotations

import kubernetes_validate
import pytest
import yaml

from moonx_pipeline_tests.deploy.generated import generated_files
from moonx_pipeline_tests.deploy.tools import DEPLOY, KUBERNETES
from moonx_pipeline_tests.support.go_tools import BUILD_SECONDS

pytestmark = pytest.mark.timeout(BUILD_SECONDS)


def test_generated_files_are_up_to_date() -> None:
    files = generated_files()

    assert len(files) == 5
    for file, content in files.items():
        assert file.read_text() == content, f"{file} is old: python -m moonx_pipeline_tests.deploy.generated"


def test_plain_manifests_are_taken_by_kubernetes() -> None:
    files = sorted((DEPLOY / "k8s").glob("*.yaml"))
    assert [file.name for file in files] == ["1-migrate.yaml", "2-moonx.yaml"]
    for file in files:
        for manifest in yaml.safe_load_all(file.read_text()):
            kubernetes_validate.validate(manifest, KUBERNETES[0], strict=True)
