"""Alchemy's JSON-RPC: a wallet's balances on one chain page by page, single tokens, and the metadata of tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import UNKNOWN_TOKEN, ChainBalances, ChainOutcome, TokenInfo, Way
from moonx_pipeline.providers.alchemy_networks import COMPUTE_UNITS
from moonx_pipeline.providers.alchemy_rows import (
    RpcAnswer,
    SortedRows,
    TokenBalance,
    TokenPage,
    decode_balances,
    decode_metadata,
    decode_quantity,
    metadata_answer,
)
from moonx_pipeline.providers.alchemy_values import parse_balance, read_metadata
from moonx_pipeline.providers.bodies import Checked, leniently
from moonx_pipeline.providers.bulk_balances import BulkBalances
from moonx_pipeline.providers.contracts import ask_contracts
from moonx_pipeline.providers.error_table import Meaning
from moonx_pipeline.providers.errors import (
    DeadlineOver,
    KeyRejected,
    Malformed,
    Oversized,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Restricted,
)
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_answers import refusal_of
from moonx_pipeline.providers.node_calls import Endpoint, NodeCalls
from moonx_pipeline.providers.request import Request
from moonx_pipeline.providers.scope import CallScope

_PAGE: Final = 100
_METADATA_BATCH: Final = 50
_CONTRACT_CALLS: Final = 30  # in one request: some 800 compute units, a sixth of the smallest plan's window

Answer = TypeVar("Answer", bound=RpcAnswer)

_NOT_OF_PAGE: Final = (RateLimited, QuotaExhausted, KeyRejected, Restricted, DeadlineOver)
"""Refusals that would meet another page, too."""


class RpcReading(NamedTuple):
    """The result of reading a wallet on one chain.

    Attributes:
        balances: ``PARTIAL`` if the list goes on.
        stopped_by: The error that stopped the reading before the list's end, if any.
        is_resumed: Whether it resumed at the given key, and not from the beginning.
    """

    balances: ChainBalances
    stopped_by: ProviderError | None
    is_resumed: bool


class AlchemyRpc:
    """The JSON-RPC of one chain.

    Attributes:
        bulk: Bulk reading of balances.
    """

    def __init__(self, chain_id: int, url: str, http: HttpClient, max_pages: int) -> None:
        self._chain_id = chain_id
        self._url = url
        self._http = http
        self._max_pages = max_pages
        endpoint = Endpoint(chain_id, url, "alchemy", f"alchemy on {CHAIN_BY_ID[chain_id].name}", COMPUTE_UNITS)
        self._contracts = NodeCalls(endpoint, http=http, batch_size=_CONTRACT_CALLS)
        self.bulk = BulkBalances(self._contracts)

    def balances(self, wallet: str, scope: CallScope, resume_key: str | None = None) -> RpcReading:
        """Reads the native coin and the tokens that the wallet ever held, page by page.

        Pages that were read are kept if a later page fails: the reading is then ``PARTIAL`` and says where to
        resume.

        Args:
            wallet: Lower-case address.
            scope: Deadline and tally.
            resume_key: Where an earlier reading stopped.

        Raises:
            ProviderError: The native coin, or the first page, could not be read.
        """
        native = self._call("eth_getBalance", [wallet, "latest"], decode_quantity, scope)
        coin = parse_balance(native.result)
        if coin is None:
            raise self._malformed("no balance of the native coin")
        found, key, stopped_by = SortedRows(self._chain_id), resume_key, None
        seen: set[str] = set()
        for number in range(self._max_pages):
            try:
                page = self._page(wallet, key, scope)
            except ProviderError as error:
                if number:
                    stopped_by = error
                    break
                if key is None or isinstance(error, _NOT_OF_PAGE):
                    raise
                # A key may expire before the next sync, and one page must not keep the others unread.
                key = resume_key = None
                page = self._page(wallet, key, scope)
            found.take(page.token_balances)
            key = page.page_key
            if not key:
                break
            if key in seen:
                raise Oversized(f"{self._sent('the same page key twice')}, so its list has no end.", **self._about)
            seen.add(key)
        is_resumed = resume_key is not None
        return RpcReading(
            self._reading(wallet, coin, found, is_resumed=is_resumed, key=key or None), stopped_by, is_resumed
        )

    def _reading(
        self, wallet: str, coin: int, found: SortedRows, *, is_resumed: bool, key: str | None
    ) -> ChainBalances:
        balances = {NATIVE_TOKEN: coin, **found.balances}
        reason = None
        if key is not None:
            count = len(found.balances) + len(found.unknown) + len(found.without_balance)
            reason = f"Read in part: {count:,} {'more ' * is_resumed}tokens so far; the next sync goes on there."
        return ChainBalances(
            wallet,
            self._chain_id,
            ChainOutcome.OK if key is None else ChainOutcome.PARTIAL,
            # Zeros are included if the rest of the list is not in here: a balance may be stored for them.
            balances=balances if is_resumed or key else {token: raw for token, raw in balances.items() if raw},
            unknown=found.unknown,
            without_balance=found.without_balance,
            source="alchemy",
            way=Way.JSON_RPC,
            reason=reason,
            error_code=None if key is None else "unread_tokens",
            resume_key=key,
        )

    def _page(self, wallet: str, key: str | None, scope: CallScope) -> TokenPage[TokenBalance]:
        options = {"maxCount": _PAGE, **({"pageKey": key} if key else {})}
        return self._token_balances([wallet, "erc20", options], scope)

    def _token_balances(self, params: list[Any], scope: CallScope) -> TokenPage[TokenBalance]:
        answer = self._call("alchemy_getTokenBalances", params, decode_balances, scope)
        if answer.result is None:
            raise self._malformed("neither balances nor an error")
        return answer.result

    def token_balances(self, wallet: str, contracts: Sequence[str], scope: CallScope) -> ChainBalances:
        """Reads the balances of single tokens, zeros included; tokens missing from an answer are unknown.

        Raises:
            ProviderError: A request failed as a whole.
        """
        found = SortedRows(self._chain_id)
        for start in range(0, len(contracts), _PAGE):
            chunk = list(contracts[start : start + _PAGE])
            found.take(self._token_balances([wallet, chunk], scope).token_balances)
        return ChainBalances(
            wallet,
            self._chain_id,
            ChainOutcome.OK,
            balances=found.balances,
            unknown=frozenset(contracts).difference(found.balances, found.without_balance),
            without_balance=found.without_balance,
            source="alchemy",
        )

    def metadata(self, contracts: Sequence[str], scope: CallScope) -> dict[str, TokenInfo]:
        """Names and decimals of tokens; what Alchemy does not know now is ``None``, and a token it put off is absent.

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
                Request(
                    "POST",
                    self._url,
                    "alchemy_getTokenMetadata",
                    chain_id=self._chain_id,
                    compute_units=COMPUTE_UNITS["alchemy_getTokenMetadata"] * len(batch),
                    json=requests,
                ),
                self._classify_metadata,
                scope=scope,
            )
            for response in decode_metadata(body):
                if isinstance(response.id, int) and 0 <= response.id < len(batch):
                    refused = refusal_of(response.error)
                    if refused is None:
                        found[batch[response.id]] = read_metadata(response.result) or UNKNOWN_TOKEN
                    elif refused.meaning in _NO_METADATA:
                        found[batch[response.id]] = UNKNOWN_TOKEN
        return found

    def _classify_metadata(self, status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        error = Checked("alchemy", decode_metadata, self._chain_id)(status, headers, body)
        whole = leniently(metadata_answer, body) if isinstance(error, Malformed) else None
        # An object instead of the list refuses the batch as a whole.
        return self._refused("alchemy_getTokenMetadata", whole.error) or error if whole is not None else error

    def contract_info(self, contracts: Sequence[str], scope: CallScope) -> dict[str, TokenInfo]:
        """Asks the contracts themselves for symbol, name and decimals; see ``ask_contracts``.

        Raises:
            ProviderError: Alchemy did not answer.
        """
        return ask_contracts(self._contracts, contracts, scope)

    def _call(self, method: str, params: list[Any], decode: Callable[[bytes], Answer], scope: CallScope) -> Answer:
        answer = Checked("alchemy", decode, self._chain_id)

        def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
            return answer(status, headers, body) or self._refused(method, answer.value.error)

        self._http.send(
            Request(
                "POST",
                self._url,
                method,
                chain_id=self._chain_id,
                compute_units=COMPUTE_UNITS[method],
                json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
            ),
            classify,
            scope=scope,
        )
        return answer.value

    def _refused(self, method: str, error: object) -> ProviderError | None:
        """The error of a refusal inside a response of status 200."""
        refused = refusal_of(error)
        if refused is None:
            return None
        return refused.kind(
            f"alchemy refused {method}: {refused.message[:160]} ({refused.code})", code=refused.code, **self._about
        )

    @property
    def _about(self) -> dict[str, Any]:
        return {"provider": "alchemy", "chain_id": self._chain_id}

    def _sent(self, what: str) -> str:
        return f"alchemy sent {what}"

    def _malformed(self, what: str) -> Malformed:
        return Malformed(f"{self._sent(what)}.", **self._about)


_NO_METADATA: Final = frozenset({Meaning.MISUSE, Meaning.REVERT})
"""Refusals about one contract; any other is Alchemy's own, and it may answer the next time."""
