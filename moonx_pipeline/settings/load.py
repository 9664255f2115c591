"""Reads ``Settings`` from the environment, and reports all problems at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dotenv import dotenv_values
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from moonx_pipeline.domain.chains import CHAIN_BY_SLUG, KNOWN_CHAINS, Chain
from moonx_pipeline.errors import WrongUse
from moonx_pipeline.settings.chains import of_each_chain, variable_of
from moonx_pipeline.settings.database import BrokerSettings, DatabaseSettings
from moonx_pipeline.settings.events import KafkaSettings
from moonx_pipeline.settings.fields import Group
from moonx_pipeline.settings.names import mistyped
from moonx_pipeline.settings.parts import READERS
from moonx_pipeline.settings.providers import (
    AlchemySettings,
    BalanceSettings,
    HttpSettings,
    NodeSettings,
    PriceSettings,
)
from moonx_pipeline.settings.registry import RegistrySettings
from moonx_pipeline.settings.rules import broken_rules
from moonx_pipeline.settings.service import GatewaySettings, MonitoringSettings, ServiceSettings, TracingSettings
from moonx_pipeline.settings.worker import PeriodicSettings, WorkerSettings


class InvalidSettings(WrongUse):
    """Settings that can't be used.

    Attributes:
        problems: One sentence each.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("These settings can't be used:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


class SettingRow(NamedTuple):
    """One setting for display.

    Attributes:
        parts: Of a secret, the parts that read it.
        chain: The chain's slug if the setting is per chain.
    """

    group: str
    attribute: str
    names: tuple[str, ...]
    unit: str
    default: str
    about: str
    secret: bool
    parts: tuple[str, ...] = ()
    chain: str | None = None


class Settings(Group):
    """All settings, by subject."""

    service: ServiceSettings
    database: DatabaseSettings
    broker: BrokerSettings
    kafka: KafkaSettings
    alchemy: AlchemySettings
    nodes: NodeSettings
    balances: BalanceSettings
    prices: PriceSettings
    registry: RegistrySettings
    http: HttpSettings
    worker: WorkerSettings
    periodic: PeriodicSettings
    gateway: GatewaySettings
    monitoring: MonitoringSettings
    tracing: TracingSettings

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Makes settings from variables.

        Raises:
            InvalidSettings: The settings can't be used; it lists every problem.
        """
        given = {name: value for name, value in environment.items() if value.strip()}
        problems = [
            f"{wrong} is no setting: did you mean {right}?" for wrong, right in mistyped(given, known_names()).items()
        ]
        groups: dict[str, Group] = {}
        for name, group in _groups():
            try:
                groups[name] = group.model_validate(given)
            except ValidationError as error:
                problems += [_sentence(problem, group) for problem in error.errors()]
        if not problems:
            settings = cls.model_validate(groups)
            problems = list(broken_rules(settings))
        if problems:
            raise InvalidSettings(problems)
        return settings

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The chains that are read, in the order of display."""
        return self.service.chains

    @property
    def home(self) -> Path:
        """The folder for the embedded parts' state; a relative one is inside the project, wherever a command is run."""
        home = self.service.home.expanduser()
        return home if home.is_absolute() else Path(os.environ.get("DAGSTER_HOME") or Path.cwd()) / home


def _groups() -> Iterator[tuple[str, type[Group]]]:
    for name, field in Settings.model_fields.items():
        group = field.annotation
        assert isinstance(group, type)  # noqa: S101 - narrows the type; the class above is all there is
        yield name, group


def rows() -> Iterator[SettingRow]:
    """All settings, in the order of their declaration."""
    for name, group in _groups():
        for attribute, field in group.model_fields.items():
            if of_each_chain(field):
                yield from _chain_rows(name, attribute, field)
                continue
            extra = _extra(field)
            yield SettingRow(
                name,
                attribute,
                tuple(extra["names"]),
                extra["unit"],
                extra["shown_default"] or _shown(field.default),
                field.description or "",
                *_secrecy(field, extra["names"][0]),
            )


def _chain_rows(group: str, attribute: str, field: FieldInfo) -> Iterator[SettingRow]:
    template = str(field.validation_alias)
    for chain in KNOWN_CHAINS:
        about = (field.description or "").format(chain=chain.name)
        names = (variable_of(template, chain),)
        yield SettingRow(group, attribute, names, "", "none", about, *_secrecy(field, template), chain.slug)


def _secrecy(field: FieldInfo, name: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a setting is a secret, and the parts that read it."""
    is_secret = "Secret" in str(field.annotation)
    return is_secret, READERS[name] if is_secret else ()


def secrets_of(part: str) -> tuple[str, ...]:
    """The variables of all secrets that a part reads, in the order of their declaration."""
    return tuple(name for row in rows() if part in row.parts for name in row.names)


def value_of(settings: Settings, row: SettingRow) -> Any:
    """The value of one setting."""
    value = getattr(getattr(settings, row.group), row.attribute)
    return value if row.chain is None else value.get(row.chain)


@cache
def known_names() -> frozenset[str]:
    """Every name that is accepted for a setting."""
    return frozenset(name for row in rows() for name in row.names)


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def _shown(default: Any) -> str:
    if default is None or default == ():
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


def _sentence(problem: Any, group: type[Group]) -> str:
    name, *place = map(str, problem["loc"])
    if "{CHAIN}" in name:
        name = variable_of(name, CHAIN_BY_SLUG[place[0]])
    unit = next((_extra(f)["unit"] for f in group.model_fields.values() if name in _extra(f).get("names", ())), "")
    text = str(problem["msg"]).removeprefix("Value error, ")
    text = text.removeprefix("Input should be ").removesuffix(".")
    verb = "" if text.startswith(("must", "is ", "names")) else "must be "
    return f"{name}{f' (in {unit})' if unit else ''} {verb}{text}."


def read_environment() -> dict[str, tuple[str, str]]:
    """All variables, each with its origin; the environment overrides the file.

    The file is ``.env`` in the current folder, or the one that MOONX_ENV_FILE names.
    """
    file = Path(os.environ.get("MOONX_ENV_FILE") or ".env")
    if "MOONX_ENV_FILE" in os.environ and not file.is_file():
        raise WrongUse(f"MOONX_ENV_FILE names '{file}', which is no file.")
    values = dotenv_values(file) if file.is_file() else {}
    merged = {name: (value, str(file)) for name, value in values.items() if value is not None}
    return merged | {name: (value, "environment") for name, value in os.environ.items()}


@cache
def load_settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        InvalidSettings: The settings can't be used; it lists every problem.
    """
    return Settings.from_environment({name: value for name, (value, _) in read_environment().items()})


def shown_value(value: Any) -> str:
    """A value for display: of a secret, only that it is set; of a URL, neither login nor query nor key."""
    if isinstance(value, SecretStr):
        return "set, hidden"
    if isinstance(value, tuple):
        return ",".join(part.slug if isinstance(part, Chain) else _shown_text(part) for part in value) or "none"
    return _shown_text(value) if isinstance(value, str) else _shown(value)


def _shown_text(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    place, slash, path = rest.partition("/")
    _, login, host = place.rpartition("@")
    path, query, _ = path.partition("?")
    if "{network}" in text and "{api_key}" not in text:
        path = "hidden"  # a template without a place for the key has the key in it
    return f"{scheme}://{'hidden@' if login else ''}{host}{slash}{path}{'?hidden' if query else ''}"
