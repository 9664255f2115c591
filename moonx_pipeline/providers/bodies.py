"""What the bodies of answers have in common: they are checked before they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from moonx_pipeline.providers.classification import refusal
from moonx_pipeline.providers.errors import Malformed, ProviderError
from moonx_pipeline.providers.http import Classify

MAX_TEXT = 200
"""Longer names and symbols are cut: they are hostile input, and nobody reads so far."""


def checked(provider: str, decode: Callable[[bytes], object], chain_id: int | None = None) -> Classify:
    """Says what is wrong with a provider's response: its status, its refusal, or a body that it does not document."""

    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        error = refusal(provider, status, headers, body, chain_id=chain_id)
        return error or malformed(decode, body, provider, chain_id)

    return classify


def malformed(
    decode: Callable[[bytes], object], body: bytes, provider: str, chain_id: int | None = None
) -> Malformed | None:
    """The error of a body that is not what the provider documents, naming the field; ``None`` for a good one."""
    try:
        decode(body)
    except msgspec.MsgspecError as problem:
        return Malformed(f"{provider} sent what it does not document: {problem}.", provider=provider, chain_id=chain_id)
    except UnicodeDecodeError:
        return Malformed(f"{provider} sent text that is no UTF-8.", provider=provider, chain_id=chain_id)
    return None


def clean_text(text: str | None, most: int = MAX_TEXT) -> str | None:
    """A name without NUL, which no database takes, and of bearable length."""
    return text.replace("\0", "")[:most] if text else None
