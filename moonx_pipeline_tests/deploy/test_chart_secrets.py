"""What the chart gives each part of the Secret, and the user by which the part signs in to the database."""

from __future__ import annotations

from typing import Any

import pytest

from moonx_pipeline.settings.load import secrets_of
from moonx_pipeline_tests.deploy.manifests import Manifest, of_kind, pod_templates
from moonx_pipeline_tests.deploy.tools import render
from moonx_pipeline_tests.support.go_tools import BUILD_SECONDS

pytestmark = pytest.mark.timeout(BUILD_SECONDS)

PARTS = ("worker", "relay", "gateway")
ALL = pytest.mark.parametrize("part", [*PARTS, "migrate"])


@ALL
def test_a_part_is_given_the_secrets_that_it_reads_and_no_others(part: str) -> None:
    container = dict(pod_templates(render()))[f"moonx-{part}"]["spec"]["containers"][0]
    taken = _taken_from_secrets(container)

    assert taken.keys() == set(secrets_of(part))
    assert {source["name"] for source in taken.values()} == {"moonx"}
    own_role = taken.pop("DB_PASSWORD")
    assert own_role["key"] == ("DB_PASSWORD" if part == "migrate" else f"DB_{part.upper()}_PASSWORD")
    assert {name: source["key"] for name, source in taken.items()} == {name: name for name in taken}
    # Nobody has all of them; what a part can't do without, it says itself.
    assert all(source["optional"] for source in taken.values())
    assert [next(iter(source)) for source in container.get("envFrom", [])] == ["configMapRef"] * (part != "migrate")


@ALL
def test_a_part_can_have_a_secret_of_its_own(part: str) -> None:
    pods = dict(pod_templates(render(values={"partSecrets": {part: f"moonx-{part}"}})))
    names = {
        name: {source["name"] for source in _taken_from_secrets(pod["spec"]["containers"][0]).values()}
        for name, pod in pods.items()
    }

    assert names == {f"moonx-{other}": {"moonx"} for other in (*PARTS, "migrate")} | {
        f"moonx-{part}": {f"moonx-{part}"}
    }  # fmt: skip


def _taken_from_secrets(container: Manifest) -> dict[str, dict[str, Any]]:
    return {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container["env"] if "valueFrom" in one}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_its_own_role_in_the_database(part: str) -> None:
    container = of_kind(render(), "Deployment")[f"moonx-{part}"]["spec"]["template"]["spec"]["containers"][0]
    own = {variable["name"]: variable for variable in container["env"]}

    assert own["DB_USER"]["value"] == f"moonx_{part}"


@pytest.mark.parametrize("part", PARTS)
def test_a_part_signs_in_as_the_user_whose_turn_it_is(part: str) -> None:
    """While a password is changed, two users of the same rights take turns."""
    pods = dict(pod_templates(render(values={"databaseUsers": {part: f"moonx_{part}_b"}})))
    users = {
        name: {variable["name"]: variable.get("value") for variable in pod["spec"]["containers"][0]["env"]}["DB_USER"]
        for name, pod in pods.items()
    }

    assert users == {f"moonx-{other}": f"moonx_{other}" for other in PARTS} | {
        f"moonx-{part}": f"moonx_{part}_b", "moonx-migrate": "moonx"
    }  # fmt: skip


def test_without_roles_all_parts_are_the_one_user_of_the_settings() -> None:
    manifests = render(values={"databaseRoles": False})
    containers = [pod["spec"]["containers"][0] for _, pod in pod_templates(manifests)]

    assert ["moonx", "migrate"] in [container["args"] for container in containers]
    for container in containers:
        assert _taken_from_secrets(container)["DB_PASSWORD"]["key"] == "DB_PASSWORD"
        if container["args"][1] != "migrate":
            assert "DB_USER" not in {variable["name"] for variable in container["env"]}
