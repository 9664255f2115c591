"""Settings: what is accepted, and what is said about what is not."""

import subprocess
import sys
from pathlib import Path

import pytest

from moonx_pipeline.cli.config import environment_example, settings_reference
from moonx_pipeline.settings import InvalidSettings, Settings
from moonx_pipeline.settings.load import rows, secrets_of
from moonx_pipeline.settings.parts import PARTS, READERS
from moonx_pipeline.settings.rules import missing_for_gateway, missing_for_worker, warnings_of

ROOT = Path(__file__).parents[2]


def problems(**environment: str) -> list[str]:
    with pytest.raises(InvalidSettings) as invalid:
        Settings.from_environment(environment)
    return invalid.value.problems


def test_without_any_variable_the_defaults_hold() -> None:
    settings = Settings.from_environment({})

    assert settings.database.url is None
    assert settings.kafka.brokers == ()
    assert settings.alchemy.key_for("base") is None
    assert (settings.worker.timeout_ms, settings.worker.rate_max, settings.gateway.port) == (60_000, 5, 3007)


def test_all_problems_are_told_at_once_each_with_its_name() -> None:
    told = problems(
        WORKER_TIMEOUT="soon", WORKER_CONCURRENCY="99", DB_SSL="maybe", KAFKA_BROKERS="nohost", LOG_LEVEL="loud"
    )

    assert {problem.split(" ")[0] for problem in told} == {
        "WORKER_TIMEOUT",
        "WORKER_CONCURRENCY",
        "DB_SSL",
        "KAFKA_BROKERS",
        "LOG_LEVEL",
    }


@pytest.mark.parametrize(("value", "right"), [("30s", "30000"), ("2min", "120000"), ("15000ms", "15000")])
def test_a_number_with_a_unit_is_told_what_to_write(value: str, right: str) -> None:
    (problem,) = problems(WORKER_TIMEOUT=value)

    assert "WORKER_TIMEOUT (in ms)" in problem
    assert right in problem


@pytest.mark.parametrize(
    ("typo", "right"),
    [
        ("WORKER_CONCURENCY", "WORKER_CONCURRENCY"),
        ("ALCHEMY_APIKEY", "ALCHEMY_API_KEY"),
        ("KAFKA_BROKER", "KAFKA_BROKERS"),
        ("GATWAY_PORT", "GATEWAY_PORT"),
        ("MONX_ENV", "MOONX_ENV"),
        ("WORKR_CONCURRENCY", "WORKER_CONCURRENCY"),
    ],
)
def test_a_mistyped_name_is_told_the_right_one(typo: str, right: str) -> None:
    assert problems(**{typo: "4"}) == [f"{typo} is no setting: did you mean {right}?"]


def test_names_of_others_and_of_the_past_are_left_alone() -> None:
    Settings.from_environment({"DB_FLAVOUR": "vanilla", "CLUSTER_MODE": "auto", "HOME": "/", "KAFKA_UI_THEME": "dark"})
    of_other_programs = ("OTEL_TRACES_SAMPLER", "LOGLEVEL", "WEB_SERVER_PORT", "HTTP_PROXY", "APP_ENV")
    Settings.from_environment(dict.fromkeys(of_other_programs, "x"))


@pytest.mark.parametrize(
    ("text", "value"), [("false", False), ("FALSE", False), ("0", False), ("off", False), ("true", True), ("Yes", True)]
)
def test_a_boolean_is_what_it_says(text: str, value: bool) -> None:
    assert Settings.from_environment({"PERIODIC_SYNC_ENABLED": text}).periodic.enabled is value


def test_trace_headers_are_pairs_may_be_percent_encoded_and_are_never_shown() -> None:
    given = Settings.from_environment({"OTEL_EXPORTER_OTLP_HEADERS": "X-Login=a%20b=, tenant=7,"})
    assert given.tracing.header_values() == {"x-login": "a b=", "tenant": "7"}
    assert "a%20b" not in repr(given)

    (problem,) = problems(OTEL_EXPORTER_OTLP_HEADERS="Bearer sekrit")
    assert problem == "OTEL_EXPORTER_OTLP_HEADERS must be name=value, or several with commas between."


def test_an_empty_value_is_no_value() -> None:
    assert Settings.from_environment({"WORKER_TIMEOUT": "", "ALCHEMY_API_KEY": " "}).alchemy.key is None


@pytest.mark.parametrize("value", ["4999", "600001", "0", "-1"])
def test_a_value_out_of_its_range_is_an_error(value: str) -> None:
    assert "WORKER_TIMEOUT" in problems(WORKER_TIMEOUT=value)[0]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("postgres://u:p@h:5/d", "postgresql+psycopg2://u:p@h:5/d"),
        ("postgresql://u:p@h/d?sslmode=require", "postgresql+psycopg2://u:p@h/d?sslmode=require"),
        ("postgresql:///d?host=/run/x", "postgresql+psycopg2:///d?host=/run/x"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2://h/d"),
    ],
)
def test_every_way_to_write_a_url_names_the_driver_that_is_there(given: str, url: str) -> None:
    found = Settings.from_environment({"DATABASE_URL": given}).database.url

    assert found is not None
    assert found.get_secret_value() == url


def test_the_parts_of_a_database_make_its_url() -> None:
    parts = {"DB_HOST": "db", "DB_NAME": "moon", "DB_USER": "ann", "DB_PASSWORD": "p@ss/w:rd", "DB_SSL": "true"}

    url = Settings.from_environment(parts).database.url

    assert url is not None
    assert url.get_secret_value() == "postgresql+psycopg2://ann:p%40ss%2Fw%3Ard@db:5432/moon?sslmode=require"


def test_another_database_is_refused_without_its_password() -> None:
    (problem,) = problems(DATABASE_URL="mysql://root:verysecret@h/d")

    assert "PostgreSQL" in problem
    assert "verysecret" not in problem


def test_a_chain_may_have_a_key_of_its_own() -> None:
    alchemy = Settings.from_environment({"ALCHEMY_API_KEY": "all", "ALCHEMY_API_KEY_BASE": "own"}).alchemy

    assert [key.get_secret_value() for slug in ("base", "polygon") if (key := alchemy.key_for(slug))] == ["own", "all"]


def test_names_of_the_past_are_accepted_for_the_same_setting() -> None:
    settings = Settings.from_environment(
        {"NODE_ENV": "production", "ALCHEMY_RETRY_ATTEMPTS": "7", "DB_HOST": "h", "DB_PASSWORD": "p"}
    )

    assert (settings.service.env, settings.alchemy.retries) == ("production", 7)


DATABASE = {"DB_HOST": "h", "DB_PASSWORD": "p"}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "set DB_HOST, DB_USER and DB_PASSWORD, or DATABASE_URL"),
        ({"DB_PASSWORD": ""}, "DB_PASSWORD must be set"),
        ({"DB_PASSWORD": "password"}, "DB_PASSWORD must be set"),
        ({"JWT_SECRET": "s" * 31, "JWT_AUDIENCE": "moonx"}, "JWT_SECRET has 31 bytes"),
        ({"JWT_SECRET": "s" * 32}, "JWT_AUDIENCE"),
        ({"JWT_JWKS_URL": "https://keys", "JWT_AUDIENCE": "moonx"}, "JWT_ISSUER"),
        ({"JWT_JWKS_URL": "http://keys", "JWT_AUDIENCE": "moonx", "JWT_ISSUER": "i"}, "must be https"),
        ({"GATEWAY_TRUSTED_PROXIES": "10.0.0.1, *"}, "GATEWAY_TRUSTED_PROXIES"),
        ({"KAFKA_BROKERS": "k:9092", "KAFKA_SASL_PASSWORD": "p"}, "KAFKA_SSL"),
    ],
)
def test_production_refuses_what_is_unsafe(environment: dict[str, str], named: str) -> None:
    database = DATABASE if environment else {}

    (problem,) = problems(MOONX_ENV="production", **{**database, **environment})

    assert named in problem


def test_no_part_needs_a_secret_in_production_that_it_does_not_read() -> None:
    operators = {
        "DB_PASSWORD": "p", "ALCHEMY_API_KEY": "k", "JWT_SECRET": "s" * 32, "REDIS_PASSWORD": "r",
        "DB_WORKER_PASSWORD": "w", "DB_GATEWAY_PASSWORD": "g", "DB_RELAY_PASSWORD": "r",
    }  # fmt: skip
    plain = {"MOONX_ENV": "production", "DB_HOST": "h", "JWT_AUDIENCE": "moonx", "JWT_ISSUER": "i"}

    for part in PARTS:
        own = {name: value for name, value in operators.items() if name in secrets_of(part)}
        settings = Settings.from_environment({**plain, **own})
        assert (missing_for_gateway(settings) is None) == (part == "gateway")
        assert (missing_for_worker(settings) is None) == (part == "worker")


def test_every_secret_has_its_readers_and_no_other_setting_has_any() -> None:
    secrets = {row.names[0] if row.chain is None else row.names[0].removesuffix(f"_{row.chain.upper()}")
               for row in rows() if row.secret}  # fmt: skip

    assert {name.removesuffix("_{CHAIN}") for name in READERS} == secrets
    assert {part for parts in READERS.values() for part in parts} == set(PARTS)
    assert not any(row.parts for row in rows() if not row.secret)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"DB_HOST": "db.example"}, ["db.example: set DB_SSL=true"]),
        ({"DB_HOST": "db.example", "DB_SSL": "true"}, []),
        ({"DB_HOST": "127.0.0.1"}, []),
        ({"DB_USER": "ann"}, []),
        ({"DATABASE_URL": "postgresql://u:p@10.0.0.7/d"}, ["10.0.0.7: add ?sslmode=require to DATABASE_URL"]),
        # What DB_SSL says holds for the database of the parts only.
        ({"DATABASE_URL": "postgresql://u:p@db/d?sslmode=prefer", "DB_SSL": "true"}, ["to DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://u:p@db/d?sslmode=verify-full"}, []),
        ({"DATABASE_URL": "postgresql:///d?host=/run/postgresql"}, []),
        (
            {"DB_HOST": "localhost", "DAGSTER_DATABASE_URL": "postgresql://u:p@runs/d"},
            ["runs: add ?sslmode=require to DAGSTER_DATABASE_URL"],
        ),
        ({"DB_HOST": "localhost", "REDIS_HOST": "cache"}, ["Redis at cache: set CELERY_BROKER_URL=rediss://"]),
        ({"DB_HOST": "localhost", "CELERY_BROKER_URL": "rediss://cache:6379/0"}, []),
    ],
)
def test_production_says_what_is_reached_in_clear(environment: dict[str, str], told: list[str]) -> None:
    given = {"DB_PASSWORD": "sekrit", **environment}
    warnings = list(warnings_of(Settings.from_environment({"MOONX_ENV": "production", **given})))

    assert len(warnings) == len(told)
    assert all(part in warning for part, warning in zip(told, warnings, strict=True))
    assert "sekrit" not in str(warnings)
    assert list(warnings_of(Settings.from_environment(given))) == []


def test_production_takes_what_is_safe_and_parts_without_a_key_for_tokens() -> None:
    safe = {
        "MOONX_ENV": "production", "ALCHEMY_API_KEY": "k", "GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8",
        "KAFKA_BROKERS": "k:9092", "KAFKA_SASL_PASSWORD": "p", **DATABASE,
    }  # fmt: skip
    sign_in = {"JWT_AUDIENCE": "moonx", "JWT_ISSUER": "i"}

    Settings.from_environment({**safe, "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"})
    Settings.from_environment({**safe, "KAFKA_SSL": "true", "JWT_SECRET": "s" * 32, **sign_in})
    Settings.from_environment({**safe, "KAFKA_SSL": "true", "JWT_JWKS_URL": "http://127.0.0.1:1/keys", **sign_in})


def test_two_kinds_of_keys_for_tokens_are_an_error_everywhere() -> None:
    (problem,) = problems(JWT_SECRET="s" * 32, JWT_JWKS_URL="https://keys")

    assert "set one of them" in problem


def test_the_reference_and_the_example_are_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_reference()
    assert (ROOT / ".env.example").read_text() == environment_example()


def test_reading_settings_needs_neither_the_database_nor_dagster() -> None:
    code = (
        "import sys, moonx_pipeline.settings; sys.exit(bool({'dagster', 'sqlalchemy', 'requests'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
