"""A wallet's life in steps: what moves in the world, what each source makes of it, and what is then known."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import Engine

from moonx_pipeline.domain.money import total_of
from moonx_pipeline.simulator.networks import NATIVE_TOKEN
from moonx_pipeline.simulator.pools import Pool
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.simulator.tokens import SimToken
from moonx_pipeline.simulator.world import EMPTY_WALLET, World
from moonx_pipeline.storage.syncs.evidence_log import read_explanation
from moonx_pipeline.sync.runtime import Runtime
from moonx_pipeline.sync.store import StoredSync
from moonx_pipeline_tests.support.syncs import register, sync

WALLET = EMPTY_WALLET
_NEVER = datetime.min.replace(tzinfo=UTC)
STALE_LIMIT = timedelta(hours=1)
_DEEP, _DRAINED = Pool(4_000_000_000), Pool(500)

# Nothing that is true comes with these: the source fails, or says nothing.
_SILENT = {
    "binance": ("outage", "geo_block", "malformed", "empty_answer", "null_answer", "zero_price"),
    "coingecko": ("outage", "wrong_types", "empty_answer", "null_answer", "zero_price", "no_price"),
    "defillama": ("outage", "truncate", "empty_answer", "null_answer", "low_confidence", "zero_price"),
    "dexscreener": (
        "outage",
        "reset",
        "empty_answer",
        "null_answer",
        "zero_price",
        "no_price",
        "no_liquidity",
    ),
    "alchemy": ("outage", "malformed", "empty_answer", "null_answer", "zero_price", "no_price"),
}
# A price that is wrong is one token's: what other pools are measured by stays right.
_UNTRUE = (("scaled_price", {"factor": 100}), ("scaled_price", {"factor": "0.004"}), ("old_quotes", {"days": 30}))
_LIED_ABOUT = ("good", "yfi")
SCAMS = ("puddle", "heap", "poser")
_NETWORKS = ("eth-mainnet", "polygon-mainnet", "opt-mainnet", "arb-mainnet", "base-mainnet")
_UNREAD = ("partial_error", "silent_network", "token_error", "0x_balance", "missing_page", "empty_answer", "outage")
_MOVES = ("good x1.2", "good x30", "good bought", "good drained", "good deep", "ether x0.9", "solo x1.1")


@dataclass(frozen=True)
class Step:
    """What happens before a sync, and while it asks.

    Attributes:
        after: How long after the sync before.
        moves: Of the world.
        spoiled: Fault and its parameters, by source of prices.
        unread: A fault of the reading of balances, and which network or token it hits.
        trigger: Of the sync; prices of a minute ago do for a schedule.
    """

    after: timedelta
    moves: tuple[str, ...] = ()
    spoiled: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    unread: tuple[str, int] | None = None
    trigger: str = "manual"

    @property
    def tells_untruth(self) -> bool:
        return any(kind in ("scaled_price", "old_quotes") for _, kind, _ in self.spoiled)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Any step; most sources are well most of the time."""
    spoiled = []
    for source, silent in _SILENT.items():
        kinds = [None, None, *((kind, {}) for kind in silent), *_UNTRUE]
        chosen = draw(st.sampled_from(kinds))
        if chosen and not (chosen[0] == "old_quotes" and source in ("binance", "dexscreener")):
            kind, params = chosen
            lie = {"about": draw(st.sampled_from(_LIED_ABOUT))} if kind == "scaled_price" else {}
            spoiled.append((source, kind, {**params, **lie}))
    return Step(
        draw(st.sampled_from([20, 20, 600, 3000, 4200, 18_000, 94_000]).map(lambda s: timedelta(seconds=s))),
        tuple(draw(st.sets(st.sampled_from(_MOVES), max_size=2)) if draw(st.booleans()) else ()),
        tuple(spoiled),
        draw(st.none() | st.tuples(st.sampled_from(_UNREAD), st.integers(0, 4))),
        draw(st.sampled_from(["manual", "manual", "schedule"])),
    )


@dataclass(frozen=True)
class Seen:
    """What is stored after a sync.

    Attributes:
        at: When.
        valued_at: When the last sync was that read anything; a failed one leaves the portfolio as it was.
        total_value_usd: Of the portfolio.
        complete: Whether it says that nothing is missing.
        tokens: Their facts as explained, by chain and contract.
        positions: As explained, by chain and contract.
    """

    at: datetime
    valued_at: datetime
    total_value_usd: Decimal
    complete: bool
    tokens: dict[tuple[int, str], dict[str, Any]]
    positions: dict[tuple[int, str], dict[str, Any]]

    def counted(self, key: tuple[int, str]) -> Decimal:
        position = self.positions.get(key)
        return Decimal(position["valueUsd"]) if position and position["isCounted"] else Decimal(0)

    @property
    def sum_of_counted(self) -> Decimal:
        return total_of(self.counted(key) for key in self.positions)


@dataclass
class Story:
    """A fresh user with one wallet in a fresh world.

    Attributes:
        now: The time of the story.
        said: Prices that a source may have told, with their times, by source and token.
    """

    engine: Engine
    runtime: Runtime
    simulator: RunningSimulator
    now: datetime
    tokens: dict[str, SimToken] = field(default_factory=dict)
    valued_at: datetime = _NEVER
    said: dict[tuple[str, tuple[int, str]], list[tuple[datetime, Decimal]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.simulator.simulation.reset()
        with self.engine.begin() as connection:
            tables = connection.exec_driver_sql(
                "SELECT string_agg(quote_ident(c.relname), ', ') FROM pg_class c "
                "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
                "AND c.relname NOT LIKE 'token_registry%%' AND c.relname NOT LIKE '%%yoyo%%'"
            ).scalar_one()
            connection.exec_driver_sql(f"TRUNCATE {tables} CASCADE")
        register(self.engine, "ann", WALLET)
        world = self.world
        self.tokens = {
            "ether": world.token(1, NATIVE_TOKEN),
            "usdc": world.named("USDC", 8453),
            "yfi": world.token(1, "0x0bc529c00c6401aef6d220be8c6ea1667f6ad93e"),
            "good": world.add_token("GOOD", chain_id=42161, price="3", pools=[_DEEP]),
            "solo": world.add_token("SOLO", chain_id=10, price="2"),
            "puddle": world.add_token("PUDL", price="50", pools=[Pool(900)]),
            "poser": world.add_token("USDC", chain_id=137, name="USD Coin", price="1"),
            "heap": world.add_token("HEEP", chain_id=8453, price="1", pools=[Pool(60_000)]),
        }
        amounts = {"ether": "1", "usdc": 1000, "yfi": "0.2", "good": 500, "solo": 300, "puddle": 1000}
        amounts |= {"poser": 70_000, "heap": 10**9}
        for name, amount in amounts.items():
            token = self.tokens[name]
            world.set_balance(WALLET, token, int(Decimal(amount).scaleb(token.decimals)))

    @property
    def world(self) -> World:
        return self.simulator.simulation.world

    def key(self, name: str) -> tuple[int, str]:
        token = self.tokens[name]
        return token.chain_id, token.address

    def play(self, step: Step) -> StoredSync:
        """Lets a step happen and syncs."""
        self.now += step.after
        for move in step.moves:
            self._move(move)
        faults = self.simulator.simulation.faults
        faults.clear()
        for source, kind, params in step.spoiled:
            endpoint = "prices/by-address" if source == "alchemy" else None
            about = {"token": self.tokens[params["about"]].address} if "about" in params else {}
            faults.add(kind=kind, provider=source, endpoint=endpoint, params={**params, **about})
        if step.unread:
            self._leave_unread(*step.unread)
        self._note_what_may_be_said(step)
        return sync(self.runtime, trigger=step.trigger, at=self.now)

    def _move(self, move: str) -> None:
        name, what = move.split()
        token = self.tokens[name]
        if what == "bought":
            held = self.world.ledger.balance(WALLET, token.chain_id, token.address)
            self.world.set_balance(WALLET, token, held * 2)
        elif what in ("drained", "deep"):
            self.world.set_pools(token, _DEEP if what == "deep" else _DRAINED)
        else:
            for price in (token.price, *(("WETH",) if name == "ether" else ())):
                self.world.set_price(price, self.world.prices[price] * Decimal(what[1:]))

    def _leave_unread(self, kind: str, which: int) -> None:
        faults = self.simulator.simulation.faults
        names = ("ether", "good", "solo", "usdc", "yfi")
        if kind in ("partial_error", "silent_network"):
            faults.add(kind=kind, provider="alchemy", network=_NETWORKS[which])
        elif kind in ("token_error", "0x_balance"):
            faults.add(kind=kind, provider="alchemy", params={"token": self.tokens[names[which]].address})
        else:
            # Lists fail, be it the shared ones only or those of single chains, too.
            for endpoint in ("tokens/by-address", "balances/by-address", "alchemy_getTokenBalances")[: 2 + which % 2]:
                if (kind, endpoint) not in (
                    ("missing_page", "alchemy_getTokenBalances"),
                    ("empty_answer", "alchemy_getTokenBalances"),
                ):
                    faults.add(kind=kind, provider="alchemy", endpoint=endpoint)

    def _note_what_may_be_said(self, step: Step) -> None:
        spoiled = {source: (kind, params) for source, kind, params in step.spoiled}
        for source in _SILENT:
            _, params = spoiled.get(source, (None, {}))
            factor = Decimal(str(params.get("factor", 1)))
            for name, token in self.tokens.items():
                quote = self.world.quote(source, self.world.catalogue.now(token))
                if quote is not None:
                    told = self.said.setdefault((source, self.key(name)), [])
                    told += [(self.now, quote.price), (self.now, quote.price * factor)]

    def seen(self) -> Seen:
        """What is stored now, by its own explanation."""
        with self.engine.connect() as connection:
            stored = connection.exec_driver_sql(
                "SELECT total_value_usd FROM user_sync_status WHERE user_id = 'ann'"
            ).scalar_one()
            fresh = connection.exec_driver_sql(
                "SELECT bool_and(status = 'fresh' AND unread = 0) FROM user_chain_status WHERE user_id = 'ann'"
            ).scalar_one()
            operation: uuid.UUID | None = connection.exec_driver_sql(
                "SELECT id FROM sync_operations WHERE user_id = 'ann' AND status IN ('completed', 'partial') "
                "ORDER BY fence DESC LIMIT 1"
            ).scalar_one_or_none()
            last = connection.exec_driver_sql(
                "SELECT status FROM sync_operations WHERE user_id = 'ann' ORDER BY fence DESC LIMIT 1"
            ).scalar_one_or_none()
            told = read_explanation(connection, "ann", operation) if operation else None
        if last in ("completed", "partial"):
            self.valued_at = self.now
        told = told or {"tokens": [], "positions": [], "totalValueUsd": "0"}
        assert Decimal(told["totalValueUsd"]) == (stored or 0)
        return Seen(
            self.now,
            self.valued_at,
            Decimal(stored or 0),
            bool(fresh),
            {(t["chainId"], t["tokenAddress"]): t for t in told["tokens"]},
            {(p["chainId"], p["tokenAddress"]): p for p in told["positions"]},
        )

    def truth(self) -> Decimal:
        """What a total is right to be, once everybody answers."""
        names = ["ether", "usdc", "yfi", "solo"]
        if self.world.catalogue.pools(self.tokens["good"]) == (_DEEP,):
            names.append("good")
        total = Decimal(0)
        for name in names:
            token = self.tokens[name]
            balance = self.world.ledger.balance(WALLET, token.chain_id, token.address)
            price = self.world.usd(token)
            assert price is not None
            total += Decimal(balance).scaleb(-token.decimals) * price
        return total
