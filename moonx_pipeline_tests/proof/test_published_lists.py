"""Every contract of published lists is worth what its market says, and the same names without a market are nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.flags import SPAM, UNPRICED
from moonx_pipeline.domain.money import total_of
from moonx_pipeline.domain.portfolio import Position, TokenInfo
from moonx_pipeline.domain.spam import suspicions
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import SimToken, derived_address
from moonx_pipeline.simulator.world import World
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline_tests.fixtures.simulator import UNLIMITED
from moonx_pipeline_tests.proof.published import Entry, published_lists
from moonx_pipeline_tests.support.syncs import portfolio, register, sync, violations

LISTS = ("optimism", "aave", "uniswap")
TOKENS_A_WALLET = 200
UNCONFIRMED_LIMIT_USD = Decimal(10_000)
KNOWN_IMPOSTORS = frozenset({"ETH", "WETH", "WBTC", "USDC", "USDT", "DAI", "LINK", "UNI", "AAVE", "POL", "ARB", "OP"})
DEEP = (Pool(2_400_000), Pool(1_100_000, version="v2"))
FAKE_PRICE = Decimal("1.35")
FAKE_AMOUNT = 5_000
SYNCS_TO_NAME_ALL = 3


class Held(NamedTuple):
    """A token that a wallet holds, and what all of it is worth; ``None`` where it has no market."""

    wallet: str
    token: SimToken
    balance: int
    value_usd: Decimal | None


def drawn(entry: Entry, what: str, options: int) -> int:
    """A number below ``options`` that is the contract's own, for ever."""
    return int(hashlib.sha256(f"{what}:{entry.chain_id}:{entry.address}".encode()).hexdigest(), 16) % options


def wallet_of(number: int) -> str:
    """The wallet that holds the token of a number: all together hold each token once."""
    return derived_address(f"wallet of a list: {number // TOKENS_A_WALLET}")


def register_all(engine: Engine, held: Iterable[Held]) -> None:
    register(engine, "ann", *dict.fromkeys(h.wallet for h in held))


def held_with_a_market(world: World, entries: Iterable[Entry], agreeing: str) -> list[Held]:
    """Gives wallets each contract, with deep pools whose price one other source confirms.

    Decimals are made up: those of a list must not matter. Contracts that the simulator knows are as they are there.
    """
    held = []
    for number, entry in enumerate(entries):
        token = world.token(entry.chain_id, entry.address)
        if token is None:
            cents = 3 + drawn(entry, "price", 2_000_000)
            token = world.add_token(
                entry.symbol,
                chain_id=entry.chain_id,
                address=entry.address,
                name=entry.name,
                decimals=drawn(entry, "decimals", 25),
                price=Decimal(cents).scaleb(-drawn(entry, "scale", 9)),
                pools=DEEP,
            )
            for source in {"alchemy", "defillama"} - {agreeing}:
                world.set_source_price(source, token, None)
        price = world.usd(token)
        assert price is not None
        # Less than the pools hold, so that what no registry names is not beyond its market.
        balance = int((500 / price).scaleb(token.decimals)) or 1
        world.set_balance(wallet_of(number), token, balance)
        held.append(Held(wallet_of(number), token, balance, Decimal(balance).scaleb(-token.decimals) * price))
    return held


def held_without_a_market(world: World, entries: Iterable[Entry]) -> list[Held]:
    """Gives wallets tokens of the same names at contracts that nobody knows; some have a price at Alchemy."""
    held = []
    for number, entry in enumerate(entries):
        has_price = drawn(entry, "forged", 3) == 0
        token = world.add_token(
            entry.symbol,
            chain_id=entry.chain_id,
            address=derived_address(f"forged:{entry.chain_id}:{entry.address}"),
            name=entry.name,
            price=FAKE_PRICE if has_price else None,
            held={wallet_of(number): FAKE_AMOUNT},
        )
        held.append(
            Held(wallet_of(number), token, FAKE_AMOUNT * 10**18, FAKE_AMOUNT * FAKE_PRICE if has_price else None)
        )
    return held


def shown_of(held: Iterable[Held], positions: Iterable[Position]) -> dict[Held, Position]:
    """The position of each; those that the wallets have beside them are left out."""
    by_place = {(p.wallet, p.chain_id, p.token): p for p in positions}
    return {h: by_place[h.wallet, h.token.chain_id, h.token.address] for h in held}


def is_right(position: Position, held: Held) -> bool:
    """Binance quotes in USDT, so that its prices come back with a last digit that differs."""
    if position.value_usd is None or held.value_usd is None:
        return False
    return abs(position.value_usd - held.value_usd) <= held.value_usd * Decimal("1e-12")


@pytest.fixture
def settings(simulator: RunningSimulator) -> Settings:
    """Without the short timeouts of other tests: hundreds of calls wait for one simulator here."""
    return Settings.from_environment({**simulator.environment(), **UNLIMITED})


@pytest.mark.parametrize("agreeing", ["alchemy", "defillama"])
@pytest.mark.parametrize("name", LISTS)
def test_every_contract_of_a_list_counts_at_its_price(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator, name: str, agreeing: str
) -> None:
    entries = published_lists()[name]
    held = held_with_a_market(simulator.simulation.world, entries, agreeing)
    register_all(engine, held)

    sync(runtime)

    stored = portfolio(engine)
    of = shown_of(held, stored.positions)
    assert len(of) == len(entries) > 500
    assert [(p.symbol, p.token, p.spam_reasons) for p in of.values() if p.is_spam] == []
    assert [(p.symbol, p.token, p.not_counted_reason) for p in of.values() if p.not_counted_reason] == []
    assert [(p.symbol, p.token, p.value_usd, h.value_usd) for h, p in of.items() if not is_right(p, h)] == []
    total = total_of(p.value_usd for p in stored.positions if p.not_counted_reason is None and p.value_usd is not None)
    assert stored.total_value_usd == total
    assert stored.totals.complete
    assert violations(engine) == []


def test_the_names_of_lists_at_contracts_without_a_market_count_for_nothing(
    engine: Engine, runtime: Runtime, simulator: RunningSimulator
) -> None:
    entries = sorted({entry for entries in published_lists().values() for entry in entries}, key=repr)
    entries = list({(entry.chain_id, entry.address): entry for entry in entries}.values())
    held = held_without_a_market(simulator.simulation.world, entries)
    register_all(engine, held)

    for _ in range(SYNCS_TO_NAME_ALL):
        sync(runtime, trigger="schedule")

        of = shown_of(held, portfolio(engine).positions)
        counted = [p for p in of.values() if p.not_counted_reason is None]
        assert total_of(p.value_usd for p in counted if p.value_usd is not None) <= UNCONFIRMED_LIMIT_USD
        assert [p for p in counted if p.symbol in KNOWN_IMPOSTORS] == []

    suspicious = [p for h, p in of.items() if suspicions(TokenInfo(h.token.symbol, h.token.name, 18))]
    assert len(held) > 2000
    assert len(suspicious) > 80
    assert [(p.symbol, p.name, p.not_counted_reason) for p in suspicious if p.not_counted_reason != SPAM] == []
    assert {p.not_counted_reason for h, p in of.items() if h.value_usd is None} == {SPAM, UNPRICED}
    assert total_of(h.value_usd for h in held if h.value_usd is not None) > 4_000_000
    assert violations(engine) == []
