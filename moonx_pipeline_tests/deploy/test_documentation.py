"""Commands that the documentation gives operators: what they select, write and leave out."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine, create_engine

from moonx_pipeline_tests.deploy.dagster_chart import deployment_labels
from moonx_pipeline_tests.deploy.manifests import of_kind
from moonx_pipeline_tests.deploy.tools import DEPLOY, ROOT, render
from moonx_pipeline_tests.fixtures.database import as_role
from moonx_pipeline_tests.support.go_tools import BUILD_SECONDS

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
DEPLOYMENT = (ROOT / "docs" / "deployment.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def _blocks(document: str, language: str) -> str:
    return "\n".join(re.findall(rf"^ *```{language}\n(.*?)^ *```", document, re.MULTILINE | re.DOTALL))


def _section(document: str, title: str) -> str:
    return document.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_no_command_overwrites_a_file_of_the_project(file: Path) -> None:
    written = re.findall(r"(?<![>&<0-9])>\s*([\w./-]+)", _blocks(file.read_text(), "sh"))
    known = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()

    assert not set(written) & set(known)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_no_command_has_a_password_that_everybody_on_the_machine_could_read(file: Path) -> None:
    commands = _blocks(file.read_text(), "sh")

    assert "--from-literal" not in commands
    assert "$DB_PASSWORD" not in commands
    for line in re.sub(r"#.*", "", commands).splitlines():
        assert not re.search(r"(PASSWORD|postgresql://\w+:|--password)=?\w", line), line


def test_something_is_looked_for_in_commands_that_write() -> None:
    assert "> 3-dagster.yaml" in _blocks(DEPLOYMENT, "sh")


def test_the_commands_that_pin_images_name_each_that_has_a_tag_only() -> None:
    bases = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    theirs = {name for name, service in services.items() if not service["image"].startswith("moonx-pipeline:")}
    commands = _blocks(DEPLOYMENT, "sh")
    (locked,) = re.findall(r"--lock-image-digests \\\n\s*([\w ]+) >", commands)

    assert bases
    assert dict(re.findall(r"\b(\w+_IMAGE)=([^\s;@]+)", commands)) == bases
    assert set(locked.split()) == theirs


@pytest.mark.timeout(BUILD_SECONDS)
def test_the_restart_reaches_our_deployments_and_dagsters() -> None:
    (command,) = re.findall(r"^kubectl .*rollout restart .*$", DEPLOYMENT, re.MULTILINE)
    words = shlex.split(command)
    found = re.fullmatch(r"(\S+) in \((.*)\)", words[words.index("-l") + 1])
    assert found
    label, values = found[1], found[2].split(", ")
    ours = {name: manifest["metadata"]["labels"] for name, manifest in of_kind(render(), "Deployment").items()}

    every = {**ours, **deployment_labels("dagster")}
    assert len(every) == 7
    assert {name for name, labels in every.items() if labels[label] in values} == every.keys()


def test_the_rotation_names_whatever_reads_the_password() -> None:
    values = yaml.safe_load((ROOT / "helm-values.yaml").read_text())
    rotation = _section(OPERATIONS, "Rotate keys")

    assert values["postgresql"]["postgresqlUsername"] in rotation
    for place in (
        "postgresql.postgresqlUsername", values["global"]["postgresqlSecretName"], "postgresql-password",
        "databaseUsers.worker", "values-isolated.yaml", "DB_WORKER_PASSWORD",
    ):  # fmt: skip
        assert f"`{place}`" in rotation


def test_one_line_of_the_values_says_as_whom_dagsters_parts_sign_in() -> None:
    text = (ROOT / "helm-values.yaml").read_text()
    values = yaml.safe_load(re.sub(r"&role \w+", "&role moonx_worker_b", text))
    parts = [values["dagsterDaemon"], values["dagsterWebserver"], *values["dagster-user-deployments"]["deployments"]]

    assert values["postgresql"]["postgresqlUsername"] == "moonx_worker_b"
    for part in parts:
        assert {"name": "DB_USER", "value": "moonx_worker_b"} in part["env"]
    assert "moonx_worker_b" not in text


def test_users_who_take_turns_may_do_what_the_role_may(database_url: str, engine: Engine) -> None:
    """By the statements of the documentation, for a part whose tables are made by the role that signs in."""
    role = "moonx_worker"
    statements = re.sub(r"--.*", "", _blocks(_section(OPERATIONS, "Rotate keys"), "sql"))
    with engine.begin() as connection:
        connection.exec_driver_sql(statements)
    try:
        for user in (f"{role}_a", f"{role}_b"):
            signed_in = create_engine(as_role(database_url, user))
            with signed_in.begin() as connection:
                connection.exec_driver_sql("INSERT INTO sync_pause (reason, paused_by) VALUES ('r', 'b')")
                connection.exec_driver_sql("DELETE FROM sync_pause")
                connection.exec_driver_sql("CREATE TABLE dagster.of_a_turn (id int)")
            signed_in.dispose()
            with engine.begin() as connection:
                owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'of_a_turn'"
                assert connection.exec_driver_sql(owner).scalar() == role
                connection.exec_driver_sql("DROP TABLE dagster.of_a_turn")
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE {role}_a; DROP ROLE {role}_b")
