"""Alchemy's JSON-RPC: the second way to a wallet's balances on one chain, and the metadata of tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, ChainBalances, ChainOutcome, TokenInfo
from moonx_pipeline.providers.alchemy_networks import COMPUTE_UNITS
from moonx_pipeline.providers.alchemy_values import TokenMetadata, parse_balance, token_info
from moonx_pipeline.providers.bodies import checked
from moonx_pipeline.providers.errors import BadRequest, Malformed, ProviderError, RateLimited, Unavailable
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.scope import CallScope

_PAGE: Final = 100
_METADATA_BATCH: Final = 50
_MISUSE: Final = frozenset({-32700, -32600, -32601, -32602})


class _Error(msgspec.Struct, rename="camel"):
    code: int | str = 0
    message: str = ""


class _TokenBalance(msgspec.Struct, rename="camel"):
    contract_address: str
    token_balance: str | None = None
    error: str | dict[str, Any] | None = None


class _Balances(msgspec.Struct, rename="camel"):
    token_balances: list[_TokenBalance]
    page_key: str | None = None


class _BalancesResponse(msgspec.Struct, rename="camel"):
    result: _Balances | None = None
    error: _Error | None = None


class _QuantityResponse(msgspec.Struct, rename="camel"):
    result: str | None = None
    error: _Error | None = None


class _MetadataResponse(msgspec.Struct, rename="camel"):
    id: int | str | None = None
    result: TokenMetadata | None = None
    error: _Error | None = None


_decode_balances = msgspec.json.Decoder(_BalancesResponse).decode
_decode_quantity = msgspec.json.Decoder(_QuantityResponse).decode
_decode_metadata = msgspec.json.Decoder(list[_MetadataResponse] | _MetadataResponse).decode


class AlchemyRpc:
    """The JSON-RPC of one chain."""

    def __init__(self, chain_id: int, url: str, http: HttpClient, max_pages: int) -> None:
        self._chain_id = chain_id
        self._url = url
        self._http = http
        self._max_pages = max_pages

    def balances(self, wallet: str, scope: CallScope) -> ChainBalances:
        """The native coin and every token that the wallet ever held, all pages.

        Raises:
            ProviderError: Some of it could not be read.
        """
        native = self._call("eth_getBalance", [wallet, "latest"], _decode_quantity, scope)
        balance = parse_balance(native.result, NATIVE_TOKEN, self._chain_id)
        if balance is None:
            raise self._malformed("no balance of the native coin")
        balances, unknown = {NATIVE_TOKEN: balance}, set()
        for row in self._token_rows(wallet, scope):
            token = row.contract_address.lower()
            raw = None if row.error else parse_balance(row.token_balance, token, self._chain_id)
            if token == CHAIN_BY_ID[self._chain_id].native_as_erc20:
                continue
            if raw is None:
                unknown.add(token)
            else:
                balances[token] = raw
        return ChainBalances(
            wallet,
            self._chain_id,
            ChainOutcome.OK,
            balances={token: raw for token, raw in balances.items() if raw},
            unknown=frozenset(unknown.difference(balances)),
            source="alchemy",
        )

    def _token_rows(self, wallet: str, scope: CallScope) -> list[_TokenBalance]:
        rows: list[_TokenBalance] = []
        seen: set[str] = set()
        options: dict[str, Any] = {"maxCount": _PAGE}
        for _ in range(self._max_pages):
            page = self._call("alchemy_getTokenBalances", [wallet, "erc20", options], _decode_balances, scope)
            if page.result is None:
                raise self._malformed("neither balances nor an error")
            rows += page.result.token_balances
            key = page.result.page_key
            if not key:
                return rows
            if key in seen:
                raise self._malformed("the same page key twice, so its list has no end")
            seen.add(key)
            options = {"maxCount": _PAGE, "pageKey": key}
        raise self._malformed(f"more than {self._max_pages} pages; raise PROVIDER_MAX_PAGES")

    def metadata(self, contracts: Sequence[str], scope: CallScope) -> dict[str, TokenInfo]:
        """Names and decimals of tokens; one that is no token contract is unknown, one refused for now is absent.

        Raises:
            ProviderError: A request failed as a whole.
        """
        found: dict[str, TokenInfo] = {}
        for start in range(0, len(contracts), _METADATA_BATCH):
            batch = contracts[start : start + _METADATA_BATCH]
            requests = [
                {"jsonrpc": "2.0", "id": number, "method": "alchemy_getTokenMetadata", "params": [contract]}
                for number, contract in enumerate(batch)
            ]
            body = self._http.send(
                "POST",
                self._url,
                scope=scope,
                endpoint="alchemy_getTokenMetadata",
                chain_id=self._chain_id,
                compute_units=COMPUTE_UNITS["alchemy_getTokenMetadata"] * len(batch),
                json=requests,
                classify=checked("alchemy", _decode_metadata, self._chain_id),
            )
            said = _decode_metadata(body)
            for response in said if isinstance(said, list) else [said]:
                if isinstance(response.id, int) and 0 <= response.id < len(batch):
                    if response.result is not None:
                        found[batch[response.id]] = token_info(response.result)
                    elif response.error is not None and response.error.code in _MISUSE:
                        found[batch[response.id]] = UNKNOWN_TOKEN
        return found

    def _call(self, method: str, params: list[Any], decode: Any, scope: CallScope) -> Any:
        well_formed = checked("alchemy", decode, self._chain_id)

        def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
            return well_formed(status, headers, body) or self._refused(method, decode(body).error)

        body = self._http.send(
            "POST",
            self._url,
            scope=scope,
            endpoint=method,
            chain_id=self._chain_id,
            compute_units=COMPUTE_UNITS[method],
            json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
            classify=classify,
        )
        return decode(body)

    def _refused(self, method: str, error: _Error | None) -> ProviderError | None:
        """A refusal inside a response of status 200."""
        if error is None:
            return None
        kind: type[ProviderError] = RateLimited if error.code == 429 else Unavailable
        if error.code in _MISUSE:
            kind = BadRequest
        return kind(
            f"alchemy refused {method}: {error.message[:160]} ({error.code})",
            provider="alchemy",
            chain_id=self._chain_id,
            code=error.code,
        )

    def _malformed(self, what: str) -> Malformed:
        return Malformed(f"alchemy sent {what}.", provider="alchemy", chain_id=self._chain_id)
