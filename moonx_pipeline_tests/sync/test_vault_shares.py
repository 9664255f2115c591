"""Shares of vaults on a real chain: worth what their vault pays, as far as anything stands behind it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from moonx_pipeline.clock import utc_now
from moonx_pipeline.domain.money import amount_of, value_of
from moonx_pipeline.domain.portfolio import Position
from moonx_pipeline.domain.vault_shares import UNITS_ASKED
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline.simulator.evm_world import EvmToken, EvmWorld
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.support.odd_contracts import INVALID, MOST, REVERTS, answering, answering_by
from moonx_pipeline_tests.support.own_node import node_settings
from moonx_pipeline_tests.support.sweeps import execute, make_due, sweep
from moonx_pipeline_tests.support.syncs import portfolio, register, violations

ETHEREUM = 1
ASSET, CONVERT, BALANCE, DECIMALS, NAME = "38d52e0f", "07a2d13a", "70a08231", "313ce567", "06fdde03"
AAVE_ASSET, AAVE_TREASURY = "b16a19de", "ae167335"
USDC_USD = Decimal("0.9998")
MILLIONS = 5_000_000 * 10**6


@pytest.fixture
def chain(evm_world: EvmWorld) -> EvmChain:
    return evm_world.chains[ETHEREUM]


@pytest.fixture
def usdc(evm_world: EvmWorld) -> str:
    return evm_world.tokens[ETHEREUM]["usdc"]


@pytest.fixture
def ann(evm_world: EvmWorld) -> str:
    return evm_world.wallets[0]


@pytest.fixture
def runtime(engine: Engine, simulator: RunningSimulator, chain: EvmChain, ann: str) -> Runtime:
    """With one user, whose wallet is known."""
    runtime = open_runtime(node_settings(simulator, chain.url), engine)
    register(engine, "ann", ann)
    sweep(runtime)
    return runtime


def swept(runtime: Runtime, token: str, *, times: int = 2) -> Position | None:
    """The position of a token after sweeps, each long after the one before."""
    for _ in range(times):
        for column in ("asked_at", "read_at"):
            execute(runtime.db.engine, f"UPDATE vault_shares SET {column} = {column} - interval '11 minutes'")
        make_due(runtime.db.engine)
        report = sweep(runtime)
        assert set(report.statuses) == {"completed"}, report.problems
    return next((p for p in portfolio(runtime.db.engine).positions if p.token == token), None)


def list_contract(engine: Engine, address: str) -> None:
    execute(
        engine,
        "INSERT INTO token_registry (chain_id, token_address, symbol, name, lists) "
        "VALUES (1, %s, 'S', 'Share', '{aave}') ON CONFLICT DO NOTHING",
        address,
    )


def deposited(evm_world: EvmWorld, ann: str, usdc: str, whole: int) -> str:
    """A vault of dollars into which Ann has put some."""
    chain = evm_world.chains[ETHEREUM]
    vault = evm_world.deploy(
        ETHEREUM, EvmToken("Vault", ("string", "string", "address"), ("Vault of dollars", "vUSD", usdc))
    )
    chain.send(ann, usdc, "approve(address,uint256)", [vault, whole * 10**6])
    chain.send(ann, vault, "deposit(uint256,address)", [whole * 10**6, ann])
    return vault


def put(evm_world: EvmWorld, ann: str, code: str, number: int = 1) -> str:
    """A contract with code of ours; Ann has received some of its tokens."""
    chain = evm_world.chains[ETHEREUM]
    vault = evm_world.deploy(
        ETHEREUM, EvmToken("StandardToken", ("string", "string", "uint8"), ("Trap", f"T{number}", 6))
    )
    chain.send(ann, vault, "mint(address,uint256)", [ann, 10**6])
    chain.rpc("anvil_setCode", vault, code)
    return vault


def claiming(usdc: str, rate: str, **more: int) -> str:
    """A vault that holds nothing, says that everybody has a whole share, and claims so many dollars for it."""
    worth = int(Decimal(rate) * UNITS_ASKED)
    named = {NAME: int.from_bytes(b"Savings".ljust(32, b"\0"))}
    return answering_by({BALANCE: 10**6, DECIMALS: 6, ASSET: int(usdc, 16), CONVERT: worth, **named, **more})


def test_a_vault_share_is_worth_exactly_what_the_chain_says_that_it_pays(
    runtime: Runtime, evm_world: EvmWorld, chain: EvmChain, ann: str, usdc: str
) -> None:
    vault = deposited(evm_world, ann, usdc, 1000)
    chain.send(ann, usdc, "transfer(address,uint256)", [vault, 33_333_333])  # what it has earned

    position = swept(runtime, vault)

    assert position is not None
    shares = evm_world.balance(ETHEREUM, vault, ann)
    pays = int(chain.call(vault, "convertToAssets(uint256)", [shares], "uint256"))
    rate = int(chain.call(vault, "convertToAssets(uint256)", [UNITS_ASKED], "uint256"))
    assert position.price_usd == value_of(amount_of(rate, 24), USDC_USD)
    assert position.price_source == "redemption"
    assert position.value_usd is not None
    assert abs(position.value_usd - Decimal(pays).scaleb(-6) * USDC_USD) < Decimal("0.00001")
    assert position.not_counted_reason is None
    assert violations(runtime.db.engine) == []


def test_shares_are_asked_in_the_calls_that_read_balances_and_cost_no_other(
    runtime: Runtime, evm_world: EvmWorld, ann: str, usdc: str
) -> None:
    vault = deposited(evm_world, ann, usdc, 1000)
    assert swept(runtime, vault) is not None
    make_due(runtime.db.engine)
    assert sweep(runtime).provider_calls == (calls := 2), calls  # balances and logs
    execute(runtime.db.engine, "UPDATE vault_shares SET asked_at = asked_at - interval '11 minutes'")
    make_due(runtime.db.engine)
    assert sweep(runtime).provider_calls == calls


def test_a_vault_that_claims_millions_and_holds_nothing_makes_nobody_rich(
    runtime: Runtime, evm_world: EvmWorld, ann: str, usdc: str
) -> None:
    trap = put(evm_world, ann, claiming(usdc, "9000"))
    rich = put(evm_world, ann, claiming(usdc, "900000"), 2)
    before = portfolio(runtime.db.engine).total_value_usd

    swept(runtime, trap)

    stored = portfolio(runtime.db.engine)
    assert stored.total_value_usd is not None
    assert before is not None
    assert stored.total_value_usd <= before  # less what sending cost
    reasons = {p.token: p.not_counted_reason for p in stored.positions}
    assert (reasons[trap], reasons[rich]) == ("exceeds_liquidity", "exceeds_liquidity")


def test_a_vault_whose_answer_moved_beyond_the_bound_has_no_price_until_it_stands(
    runtime: Runtime, evm_world: EvmWorld, chain: EvmChain, ann: str, usdc: str
) -> None:
    vault = deposited(evm_world, ann, usdc, 1000)
    before = swept(runtime, vault)
    assert before is not None
    assert before.price_source == "redemption"

    chain.send(ann, usdc, "transfer(address,uint256)", [vault, 60 * 10**6])
    moved = swept(runtime, vault)
    assert moved is not None
    assert (moved.price_source, moved.not_counted_reason) == (None, "unpriced")

    execute(runtime.db.engine, "UPDATE vault_shares SET level_at = level_at - interval '1 day'")
    after = swept(runtime, vault)
    assert after is not None
    assert after.price_source == "redemption"
    assert after.price_usd is not None
    assert after.price_usd > Decimal("1.05")


@pytest.mark.parametrize(
    "code",
    [
        REVERTS,
        INVALID,
        answering_by({BALANCE: 10**6, DECIMALS: 6}, burns=True),
        answering(0, 32),
        answering(7, 31),
        answering(7, 64),
        answering(MOST, 32),
        answering(1, 32),
    ],
    ids=["reverts", "invalid", "burns", "zero", "31 bytes", "64 bytes", "largest", "one"],
)
def test_a_contract_that_answers_oddly_is_no_share_and_costs_no_other_its_price(
    runtime: Runtime, evm_world: EvmWorld, ann: str, usdc: str, code: str
) -> None:
    vault, odd = deposited(evm_world, ann, usdc, 1000), put(evm_world, ann, code)
    worth = swept(runtime, vault)
    assert worth is not None
    assert worth.price_source == "redemption"
    position = next((p for p in portfolio(runtime.db.engine).positions if p.token == odd), None)
    assert position is None or position.price_usd is None


@pytest.mark.parametrize("rate", ["0", "1000001", "0.0000001"])
def test_a_listed_vault_with_a_rate_that_no_vault_has_has_no_price(
    runtime: Runtime, evm_world: EvmWorld, ann: str, usdc: str, rate: str
) -> None:
    vault = put(evm_world, ann, claiming(usdc, rate))
    list_contract(runtime.db.engine, vault)
    position = swept(runtime, vault)
    assert position is not None
    assert position.price_usd is None


def test_a_vault_of_itself_or_of_a_token_without_a_price_has_none(
    runtime: Runtime, evm_world: EvmWorld, ann: str
) -> None:
    unpriced = evm_world.tokens[ETHEREUM]["points"]
    of_unpriced = put(evm_world, ann, claiming(unpriced, "5"))
    of_itself = put(evm_world, ann, REVERTS, 2)
    evm_world.chains[ETHEREUM].rpc("anvil_setCode", of_itself, claiming(of_itself, "5"))
    for vault in (of_unpriced, of_itself):
        list_contract(runtime.db.engine, vault)
    for vault in (of_unpriced, of_itself):
        position = swept(runtime, vault)
        assert position is not None
        assert position.price_usd is None


def test_what_is_lent_by_aave_is_worth_its_token_and_what_is_owed_nothing(
    runtime: Runtime, evm_world: EvmWorld, ann: str, usdc: str
) -> None:
    plain = {BALANCE: 250 * 10**6, DECIMALS: 6, AAVE_ASSET: int(usdc, 16)}
    lent = put(evm_world, ann, answering_by({**plain, AAVE_TREASURY: int(ann, 16)}))
    owed = put(evm_world, ann, answering_by(plain), 2)
    for contract in (lent, owed):
        list_contract(runtime.db.engine, contract)

    position, debt = swept(runtime, lent), swept(runtime, owed)

    assert position is not None
    assert (position.price_usd, position.value_usd) == (USDC_USD, 250 * USDC_USD)
    assert debt is not None
    assert debt.price_usd is None


def test_a_vault_that_stops_to_answer_keeps_its_rate_for_a_day_and_no_longer(
    runtime: Runtime, evm_world: EvmWorld, chain: EvmChain, ann: str, usdc: str
) -> None:
    code = claiming(usdc, "1.25")
    vault = put(evm_world, ann, code)
    list_contract(runtime.db.engine, vault)
    swept(runtime, vault)
    chain.rpc("anvil_setCode", vault, answering_by({BALANCE: 10**6, DECIMALS: 6}))

    kept = swept(runtime, vault)
    assert kept is not None
    assert kept.price_usd == Decimal("1.25") * USDC_USD

    execute(
        runtime.db.engine,
        "UPDATE vault_shares SET read_at = %s WHERE kind IS NOT NULL",
        utc_now() - timedelta(hours=25),
    )
    lost = swept(runtime, vault)
    assert lost is not None
    assert lost.price_usd is None
