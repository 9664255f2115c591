"""Real EVM chains on this machine, with tokens of every kind and funded wallets."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

from moonx_pipeline.simulator.assets import ASSETS
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline.simulator.evm_toolchain import Toolchain, ensure_toolchain
from moonx_pipeline.simulator.networks import CHAINS, NATIVE_TOKEN, USUAL_CHAINS

_NAME_SLOTS: Final = (3, 4)
"""Storage slots of name and symbol in an OpenZeppelin ERC-20; the decimals are in our tokens' code."""


class EvmToken(NamedTuple):
    """A token to deploy.

    Attributes:
        contract: Name of its Solidity contract.
        types: Types of the constructor's arguments.
        arguments: Their values.
        funds: Each wallet's balance at the start, in the smallest unit.
    """

    contract: str
    types: tuple[str, ...]
    arguments: tuple[object, ...]
    funds: tuple[int, ...] = ()


_STRINGS: Final = ("string", "string", "uint8")
ODD_TOKENS: Final[Mapping[str, EvmToken]] = {
    "points": EvmToken("StandardToken", _STRINGS, ("Loyalty Points", "PTS", 0), (4_200, 0)),
    "maker": EvmToken("Bytes32Token", ("bytes32", "bytes32"), (b"Maker", b"MKR"), (15 * 10**17, 0)),
    "taxed": EvmToken("FeeToken", _STRINGS, ("Taxed Coin", "TAX", 9), (10_000 * 10**9, 0)),
    "undecided": EvmToken("NoDecimalsToken", ("string", "string"), ("Undecided", "UND"), (777, 0)),
    "fickle": EvmToken("FickleToken", _STRINGS, ("Fickle", "FCK", 18), (3 * 10**18, 0)),
}
"""Odd tokens by label, on every chain: no decimals, 32-byte names, a fee on transfers, decimals that revert, and
balances that revert on demand."""

ASSET_FUNDS: Final[Mapping[str, tuple[str, str]]] = {
    "USDC": ("1250.5", "75.000001"),
    "WETH": ("2", "0.000000000000000001"),
    "WPOL": ("900", "0"),
    "LINK": ("42", "0"),
}
"""Each wallet's real assets at the start, in whole tokens by symbol. They have their real addresses, so that the real
token's prices and flags apply; their label is the symbol in lower case."""


def in_units(amount: str, decimals: int) -> int:
    """An amount of whole tokens in the smallest unit."""
    return int(Decimal(amount).scaleb(decimals))


class EvmWorld:
    """Running chains with funded wallets.

    Attributes:
        chains: The chains by id.
        wallets: Two wallets, the same on every chain; the first has some of every token. Lower case.
        tokens: Token addresses by chain id and label, such as ``tokens[137]["usdc"]``, lower case.
    """

    def __init__(self, chains: Mapping[int, EvmChain], toolchain: Toolchain) -> None:
        self.chains = chains
        self._toolchain = toolchain
        self._treasury, *wallets = next(iter(chains.values())).accounts()[:3]
        self.wallets = tuple(wallets)
        with ThreadPoolExecutor(len(chains)) as pool:
            self.tokens = dict(zip(chains, pool.map(self._populate, chains.values()), strict=True))

    def environment(self) -> dict[str, str]:
        """The settings that make these chains the balance source."""
        return {
            f"RPC_URL_{chain.slug.upper()}": self.chains[chain.id].url for chain in CHAINS if chain.id in self.chains
        }

    def deploy(self, chain_id: int, token: EvmToken) -> str:
        """Deploys one more token and funds the wallets with it; returns its lower-case address."""
        chain = self.chains[chain_id]
        code = self._toolchain.bytecode[token.contract]
        address = chain.deploy(self._treasury, code, token.types, token.arguments)
        self._fund(chain, address, token)
        return address

    def transfer(self, chain_id: int, token: str, amount: int, *, sender: str, to: str) -> None:
        """Transfers tokens, and returns once the transfer is in a block.

        Args:
            chain_id: The chain.
            token: Address, or ``NATIVE_TOKEN``.
            amount: Amount in the smallest unit.
            sender: A wallet of the world.
            to: Any address.
        """
        if token == NATIVE_TOKEN:
            self.chains[chain_id].send(sender, to, wei=amount)
        else:
            self.chains[chain_id].send(sender, token, "transfer(address,uint256)", [to, amount])

    def balance(self, chain_id: int, token: str, wallet: str) -> int:
        """A wallet's balance of a token as the chain itself gives it, in the smallest unit."""
        if token == NATIVE_TOKEN:
            return self.chains[chain_id].balance(wallet)
        return int(self.chains[chain_id].call(token, "balanceOf(address)", [wallet], "uint256"))

    def units(self, chain_id: int, token: str, amount: str) -> int:
        """An amount of whole tokens in the smallest unit, by the decimals of the contract on this chain."""
        return in_units(amount, int(self.chains[chain_id].call(token, "decimals()", [], "uint8")))

    @contextmanager
    def rolled_back(self) -> Iterator[EvmWorld]:
        """Reverts the chains, at its end, to their state at its start."""
        before = {chain_id: chain.rpc("evm_snapshot") for chain_id, chain in self.chains.items()}
        try:
            yield self
        finally:
            for chain_id, snapshot in before.items():
                self.chains[chain_id].rpc("evm_revert", snapshot)

    def _populate(self, chain: EvmChain) -> dict[str, str]:
        tokens = {label: self.deploy(chain.chain_id, token) for label, token in ODD_TOKENS.items()}
        for asset in ASSETS:
            if asset.symbol in ASSET_FUNDS and chain.chain_id in asset.contracts:
                _, contract = asset.contracts[chain.chain_id]
                arguments = (asset.name, asset.symbol, asset.decimals)
                funds = tuple(in_units(amount, asset.decimals) for amount in ASSET_FUNDS[asset.symbol])
                token = EvmToken("StandardToken", _STRINGS, arguments, funds)
                draft = self.deploy(chain.chain_id, token._replace(funds=()))
                tokens[asset.symbol.lower()] = chain.move_contract(draft, contract, _NAME_SLOTS)
                self._fund(chain, contract, token)
        return tokens

    def _fund(self, chain: EvmChain, address: str, token: EvmToken) -> None:
        for wallet, amount in zip(self.wallets, token.funds, strict=False):
            if amount:
                chain.send(self._treasury, address, "mint(address,uint256)", [wallet, amount])


@contextmanager
def running_evm(cache_dir: Path, slugs: Collection[str] = ()) -> Iterator[EvmWorld]:
    """Starts chains, and stops them at the end.

    Args:
        cache_dir: Keeps the node, the compiler and the compiled contracts between runs.
        slugs: Slugs of the chains to start, a process each; by default those on which every wallet holds something.

    Raises:
        ToolchainMissing: npm is not installed, or could not fetch the packages.
        OperatorError: A chain did not start.
    """
    toolchain = ensure_toolchain(cache_dir)
    chosen = [chain for chain in CHAINS if chain.slug in slugs] if slugs else USUAL_CHAINS
    with contextlib.ExitStack() as stack:
        chains = {}
        for chain in chosen:
            chains[chain.id] = EvmChain(toolchain.anvil, chain.id)
            stack.callback(chains[chain.id].stop)
        yield EvmWorld({chain_id: chain.ready() for chain_id, chain in chains.items()}, toolchain)
