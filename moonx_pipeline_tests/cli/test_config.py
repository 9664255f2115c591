import json
from pathlib import Path

import pytest

from moonx_pipeline_tests.support.commands import moonx


def test_every_setting_is_shown_with_its_source(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WORKER_RETRIES=2\nWORKER_TIMEOUT=30000\n")

    done = moonx("config", "--json", cwd=tmp_path, WORKER_TIMEOUT="20000")

    shown = {row["name"]: row for row in json.loads(done.stdout)}
    assert (shown["WORKER_TIMEOUT"]["value"], shown["WORKER_TIMEOUT"]["source"]) == ("20000", "environment")
    assert (shown["WORKER_RETRIES"]["value"], shown["WORKER_RETRIES"]["source"]) == ("2", ".env")
    assert (shown["GATEWAY_PORT"]["value"], shown["GATEWAY_PORT"]["source"]) == ("3007", "default")
    assert shown["WORKER_TIMEOUT"]["unit"] == "ms"
    assert "GATEWAY_PORT" in moonx("config", cwd=tmp_path).stdout


def test_a_check_says_that_all_is_right_or_all_that_is_wrong(tmp_path: Path) -> None:
    right = moonx("config", "--check", cwd=tmp_path)
    wrong = moonx("config", "--check", cwd=tmp_path, WORKER_TIMEOUT="30s", WORKER_CONCURENCY="2")

    assert (right.returncode, right.stderr) == (0, "")
    assert "settings are right" in right.stdout
    assert wrong.returncode == 2
    assert "WORKER_TIMEOUT" in wrong.stderr
    assert "did you mean WORKER_CONCURRENCY?" in wrong.stderr
    assert "Traceback" not in wrong.stderr


PRODUCTION = {"MOONX_ENV": "production", "DB_HOST": "db.invalid", "DB_PASSWORD": "p"}
SIGN_IN = {"JWT_SECRET": "s" * 32, "JWT_AUDIENCE": "moonx"}
SOURCE = {"ALCHEMY_API_KEY": "k"}


def test_a_check_names_every_part_that_would_not_start(tmp_path: Path) -> None:
    neither = moonx("config", "--check", cwd=tmp_path, **PRODUCTION)
    weak = moonx("config", "--check", cwd=tmp_path, **PRODUCTION, **SOURCE, **{**SIGN_IN, "JWT_SECRET": "short"})
    both = moonx("config", "--check", cwd=tmp_path, **PRODUCTION, **SOURCE, **SIGN_IN)

    assert neither.returncode == 2
    assert "The gateway does not start" in neither.stderr
    assert "Workers do not start" in neither.stderr
    assert (weak.returncode, "JWT_SECRET has 5 bytes" in weak.stderr) == (2, True)
    assert (both.returncode, both.stderr) == (0, "")


def test_a_check_warns_of_a_database_that_is_reached_in_clear_and_is_content(tmp_path: Path) -> None:
    told = {
        encrypted: moonx("config", "--check", cwd=tmp_path, **PRODUCTION, **SOURCE, **SIGN_IN, DB_SSL=encrypted)
        for encrypted in ("false", "true")
    }

    assert [done.returncode for done in told.values()] == [0, 0]
    assert "the database at db.invalid: set DB_SSL=true" in told["false"].stdout
    assert "db.invalid" not in told["true"].stdout


@pytest.mark.parametrize("part", ["gateway", "relay", "worker"])
def test_a_part_says_once_that_its_database_is_reached_in_clear(part: str, tmp_path: Path) -> None:
    """At its start, before it finds that there is no such database."""
    done = moonx(part, cwd=tmp_path, **PRODUCTION, **SOURCE, **SIGN_IN, KAFKA_BROKERS="127.0.0.1:1", METRICS_PORT="0")

    assert done.returncode == 1
    assert done.stderr.count("db.invalid: set DB_SSL=true") == 1


def test_a_worker_does_not_start_in_production_without_a_source(tmp_path: Path) -> None:
    done = moonx("worker", cwd=tmp_path, **PRODUCTION)

    assert (done.returncode, "set ALCHEMY_API_KEY" in done.stderr) == (2, True)


def test_no_character_of_a_secret_is_shown(tmp_path: Path) -> None:
    secrets = {
        "ALCHEMY_API_KEY": "zq7alchemyzq7",
        "DATABASE_URL": "postgresql://u:zq7databasezq7@h/d",
        "DB_PASSWORD": "zq7passwordzq7",
        "RPC_URL_BASE": "https://node/zq7nodezq7",
        "JWT_SECRET": "zq7jwtzq7",
        "KAFKA_SASL_PASSWORD": "zq7kafkazq7",
        "REDIS_PASSWORD": "zq7rediszq7",
        "CELERY_BROKER_URL": "redis://:zq7celeryzq7@h",
        "COINGECKO_API_KEY": "zq7geckozq7",
        "DAGSTER_GRAPHQL_URL": "http://u:zq7dagsterzq7@h:1/graphql?key=zq7queryzq7",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://zq7otelzq7@h",
        "ALCHEMY_RPC_URL_TEMPLATE": "https://{network}.example/v2/zq7templatezq7",
        "TOKEN_LISTS": "https://u:zq7listzq7@h/list.json",
    }
    for arguments in (("config",), ("config", "--json"), ("config", "--check")):
        done = moonx(*arguments, cwd=tmp_path, **secrets)
        assert done.returncode == 0
        assert "zq7" not in done.stdout + done.stderr
    wrong = moonx("config", cwd=tmp_path, **{**secrets, "RPC_URL_BASE": "zq7nodezq7", "WORKER_TIMEOUT": "x"})
    assert wrong.returncode == 2
    assert "zq7" not in wrong.stdout + wrong.stderr
    pasted = moonx("config", cwd=tmp_path, KAFKA_BROKERS="h:9,u:zq7@h", DB_SSL="zq7", GATEWAY_DAGSTER_URL="zq7")
    assert pasted.stderr.count("\n  - ") == 3
    assert "zq7" not in pasted.stdout + pasted.stderr
    assert "number 2 is not" in pasted.stderr


def test_a_missing_file_of_settings_says_so(tmp_path: Path) -> None:
    done = moonx("config", cwd=tmp_path, MOONX_ENV_FILE="nowhere.env")

    assert (done.returncode, done.stderr) == (2, "moonx: MOONX_ENV_FILE names 'nowhere.env', which is no file.\n")
