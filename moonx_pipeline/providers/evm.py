"""Any EVM node as a source of balances: standard JSON-RPC, nothing of one vendor.

A node can be asked what a wallet holds of a token, not which tokens it holds: new tokens are not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from moonx_pipeline.domain.chains import CHAIN_BY_ID, NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import MAX_BALANCE, ChainBalances, ChainOutcome, Coverage, TokenInfo
from moonx_pipeline.providers import erc20
from moonx_pipeline.providers.errors import ProviderError
from moonx_pipeline.providers.http import HttpClient
from moonx_pipeline.providers.node_answers import Refusal
from moonx_pipeline.providers.node_calls import PROVIDER, Answer, Call, NodeCalls
from moonx_pipeline.providers.scope import CallScope

_LATEST: Final = "latest"


class WrongChain(ProviderError):
    """The node answers for another chain than it was configured for; its balances would be another's."""


class EvmNode:
    """A node of one chain. One instance a process, shared by its threads."""

    def __init__(self, chain_id: int, url: str, *, http: HttpClient, batch_size: int = 100) -> None:
        """Takes where the node is; nothing is sent before the first reading.

        Args:
            chain_id: The chain that the node must be of.
            url: Its JSON-RPC endpoint. It may hold a key, so it never appears in a message.
            http: Client whose provider is ``rpc``.
            batch_size: Calls to send in one request at most; learnt to be less where the node refuses.
        """
        self.chain_id = chain_id
        self._calls = NodeCalls(chain_id, url, http=http, batch_size=batch_size)
        self._is_of_chain = False

    def balances(self, wallet: str, tokens: Sequence[str], scope: CallScope) -> ChainBalances:
        """Reads the native coin and the given tokens, all as of one block.

        The block is the newest one at the start, named by number in every call: a transfer between two
        calls is then seen by all of them or by none. A node that does not have that block (a balancer
        sent us to one that lags, or it has dropped the state already) is asked once more for its latest
        block, where calls of one batch may still fall on two blocks.

        Args:
            wallet: Lower-case address.
            tokens: Lower-case contract addresses. ``NATIVE_TOKEN`` and the contract that mirrors the
                native coin (Polygon has one) are passed over: they are the native balance again.
            scope: Deadline and tally.

        Returns:
            An ``OK`` reading: every token is in ``balances``, zeros included, or in ``unknown`` where its
            contract reverts or answers with nothing.

        Raises:
            ProviderError: The node did not answer, or not with balances.
        """
        asked = self._contracts(tokens)
        block = self._newest_block(scope)
        answers = self._read(wallet, asked, block, scope)
        if any(isinstance(answer, Refusal) and answer.is_of_block for answer in answers):
            answers = self._read(wallet, asked, _LATEST, scope)
        native, *rest = answers
        balances = {NATIVE_TOKEN: self._quantity("eth_getBalance", native)}
        unknown = set()
        for token, answer in zip(asked, rest, strict=True):
            balance = None if isinstance(answer, Refusal) else erc20.read_balance(answer)
            if balance is None:
                unknown.add(token)
            else:
                balances[token] = balance
        return ChainBalances(
            wallet=wallet,
            chain_id=self.chain_id,
            outcome=ChainOutcome.OK,
            balances=balances,
            unknown=frozenset(unknown),
            coverage=Coverage.KNOWN_TOKENS,
            source=PROVIDER,
            reason=(
                f"Read from your node: the native coin and {len(asked)} known tokens; "
                "tokens that are new to this wallet are not seen."
            ),
        )

    def token_info(self, tokens: Sequence[str], scope: CallScope) -> dict[str, TokenInfo]:
        """Asks contracts for their name, symbol and decimals.

        Args:
            tokens: Lower-case contract addresses, without the native coin.
            scope: Deadline and tally.

        Returns:
            An entry for every token. What a contract does not say, or says badly, is ``None``.

        Raises:
            ProviderError: The node did not answer.
        """
        asked = self._contracts(tokens)
        if not self._is_of_chain:
            self._newest_block(scope)
        questions = (erc20.SYMBOL, erc20.NAME, erc20.DECIMALS)
        calls = [_eth_call(token, question, _LATEST) for token in asked for question in questions]
        said = [None if isinstance(answer, Refusal) else answer for answer in self._calls.ask(calls, scope)]
        return {
            token: TokenInfo(
                symbol=erc20.read_text(symbol or ""),
                name=erc20.read_text(name or ""),
                decimals=erc20.read_decimals(decimals or ""),
            )
            for token, symbol, name, decimals in zip(asked, said[0::3], said[1::3], said[2::3], strict=True)
        }

    def _contracts(self, tokens: Iterable[str]) -> list[str]:
        native = {NATIVE_TOKEN, CHAIN_BY_ID[self.chain_id].native_as_erc20}
        return [token for token in dict.fromkeys(tokens) if token not in native]

    def _read(self, wallet: str, tokens: Sequence[str], block: str, scope: CallScope) -> list[Answer]:
        question = erc20.balance_of(wallet)
        calls = [Call("eth_getBalance", [wallet, block])]
        calls += [_eth_call(token, question, block) for token in tokens]
        return self._calls.ask(calls, scope)

    def _newest_block(self, scope: CallScope) -> str:
        """The newest block's number as the node wrote it; the first time, checks its chain as well."""
        if self._is_of_chain:
            (block,) = self._calls.ask([Call("eth_blockNumber", [])], scope)
        else:
            block, chain = self._calls.ask([Call("eth_blockNumber", []), Call("eth_chainId", [])], scope)
            actual = self._quantity("eth_chainId", chain)
            if actual != self.chain_id:
                setting = f"RPC_URL_{CHAIN_BY_ID[self.chain_id].slug.upper()}"
                raise WrongChain(
                    f"{setting} answers for chain {actual}, not {self.chain_id}: set it to a node of the right chain.",
                    provider=PROVIDER,
                    chain_id=self.chain_id,
                )
            self._is_of_chain = True
        return hex(self._quantity("eth_blockNumber", block))

    def _quantity(self, method: str, answer: Answer) -> int:
        if isinstance(answer, Refusal):
            raise self._calls.failure(method, answer)
        try:
            number = int(answer, 16)
        except ValueError:
            number = -1
        if not 0 <= number <= MAX_BALANCE:
            raise self._calls.malformed(f"{method} with '{answer[:80]}', which is no number in hex")
        return number


def _eth_call(contract: str, data: str, block: str) -> Call:
    return Call("eth_call", [{"to": contract, "data": data}, block])
