"""Declares a setting in one line: names, unit, default, bounds and description."""

from __future__ import annotations

import re
import ssl
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from moonx_pipeline.settings.chains import gather

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_WITH_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|sec|m|min|h|%|usd|\$|mb)", re.IGNORECASE)
_MILLISECONDS = {"ms": 1, "s": 1000, "sec": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000}


class Group(BaseModel):
    """Settings of one subject; read-only."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=False, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _gather_chains(cls, given: Any) -> Any:
        """Collects the variables of each per-chain setting into one mapping, by the chains' slugs."""
        gathered = gather(cls.model_fields.values(), given)
        return {**given, **gathered} if gathered else given


def setting(
    default: Any,
    *names: str,
    unit: str = "",
    about: str,
    ge: float | None = None,
    le: float | None = None,
    shown_default: str | None = None,
) -> Any:
    """Declares a setting.

    Args:
        default: Used if no name is set; an empty value counts as not set.
        names: The environment variable, then other accepted names.
        unit: Such as ``ms``; shown beside the value, and named in the error if a value has another.
        about: Its description.
        ge: The least value.
        le: The largest value.
        shown_default: Shown instead of a default that depends on the machine.
    """
    extra: dict[str, Any] = {"names": list(names), "unit": unit, "shown_default": shown_default}
    return Field(
        default=default,
        validation_alias=AliasChoices(*names),
        description=about,
        json_schema_extra=extra,
        ge=ge,
        le=le,
    )


def _boolean(value: Any) -> Any:
    """Parses a boolean such as ``false``, in any case; anything unclear is an error."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("must be true or false")


def _number(value: Any) -> Any:
    """Parses a plain number; the error for a number with a unit says what to write instead."""
    text = str(value).strip()
    with_unit = _WITH_UNIT.fullmatch(text)
    if with_unit:
        amount, unit = with_unit.groups()
        if unit.lower() in _MILLISECONDS:
            milliseconds = float(amount) * _MILLISECONDS[unit.lower()]
            raise ValueError(f"is a plain number without a unit: in milliseconds, '{text}' is {milliseconds:.0f}")
        raise ValueError(f"is a plain number without a unit: write {amount}, not '{text}'")
    return text


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL such as https://host/path")
    return value.rstrip("/")


def _secret_url(value: SecretStr) -> SecretStr:
    return SecretStr(_url(value.get_secret_value()))


def _hosts(value: Any) -> Any:
    """Parses ``host:port,host:port`` into a tuple."""
    if not isinstance(value, str):
        return value
    hosts = tuple(part.strip() for part in value.split(",") if part.strip())
    for position, host in enumerate(hosts, 1):
        name, _, port = host.rpartition(":")
        if not name or not port.isdigit() or not 0 < int(port) < 65536:
            # It is not quoted: what was pasted there may hold a login.
            raise ValueError(f"must be host:port, or several with commas between; number {position} is not")
    return hosts


def _certificates(value: str) -> str:
    try:
        ssl.create_default_context(cadata=value)
    except (ssl.SSLError, ValueError):
        raise ValueError(
            "must be certificates as -----BEGIN CERTIFICATE-----…, the text and not a file's name"
        ) from None
    return value


def _names(value: Any) -> Any:
    """Parses ``a,b`` into a tuple."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Bool = Annotated[bool, BeforeValidator(_boolean)]
Int = Annotated[int, BeforeValidator(_number)]
Float = Annotated[float, BeforeValidator(_number)]
Url = Annotated[str, AfterValidator(_url)]
SecretUrl = Annotated[SecretStr, AfterValidator(_secret_url)]
Certificates = Annotated[str, AfterValidator(_certificates)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
