"""The main job on real EVM chains: every stored balance is what the chain itself says."""

from sqlalchemy import Engine

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, NATIVE_TOKEN
from moonx_pipeline.settings import Settings
from moonx_pipeline.simulator.evm_world import EvmWorld
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.sync.runtime import open_runtime
from moonx_pipeline_tests.support.syncs import event_types, held, portfolio, register, sync


def node_settings(simulator: RunningSimulator, world: EvmWorld, **more: str) -> Settings:
    prices = {name: value for name, value in simulator.environment().items() if "ALCHEMY" not in name}
    return Settings.from_environment({**prices, **world.environment(), "ALCHEMY_RETRY_DELAY": "1", **more})


def curated(world: EvmWorld, chain_id: int) -> list[str]:
    return [token for label, token in world.tokens[chain_id].items() if label in ("usdc", "weth", "link", "wpol")]


def on_chain(world: EvmWorld, wallet: str, chain_id: int, tokens: list[str]) -> dict[tuple[int, str], int]:
    asked = {(chain_id, token): world.balance(chain_id, token, wallet) for token in [NATIVE_TOKEN, *tokens]}
    return {key: balance for key, balance in asked.items() if balance}


def test_balances_follow_real_transfers_on_all_five_chains(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld
) -> None:
    runtime = open_runtime(node_settings(simulator, evm_world), engine)
    payer, paid = evm_world.wallets
    register(engine, "ann", payer)
    register(engine, "bob", paid)
    known = {chain.id: curated(evm_world, chain.id) for chain in DEFAULT_CHAINS}

    def assert_as_on_chain(user_id: str, wallet: str) -> None:
        everything = {
            key: balance
            for chain in DEFAULT_CHAINS
            for key, balance in on_chain(evm_world, wallet, chain.id, known[chain.id]).items()
        }
        assert held(engine, user_id) == everything

    assert sync(runtime, "ann").status == "completed"
    assert sync(runtime, "bob").status == "completed"
    assert_as_on_chain("ann", payer)
    assert_as_on_chain("bob", paid)

    for chain in DEFAULT_CHAINS:
        evm_world.transfer(chain.id, evm_world.tokens[chain.id]["usdc"], 123_456_789, sender=payer, to=paid)
        evm_world.transfer(chain.id, NATIVE_TOKEN, 10**17, sender=paid, to=payer)
    assert sync(runtime, "ann").changed
    assert sync(runtime, "bob").changed
    assert_as_on_chain("ann", payer)
    assert_as_on_chain("bob", paid)
    assert event_types(engine).count("portfolio.updated") == 2


def test_a_chain_read_from_a_node_says_what_it_can_not_know(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld
) -> None:
    runtime = open_runtime(node_settings(simulator, evm_world), engine)
    register(engine, "ann", evm_world.wallets[0])

    sync(runtime)

    chains = portfolio(engine).chains
    assert {chain.status for chain in chains} == {"fresh"}
    assert all(chain.known_tokens_only and "new to this wallet" in (chain.error or "") for chain in chains)


def test_a_new_wallet_and_a_click_find_listed_tokens_on_nodes_alone(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld
) -> None:
    runtime = open_runtime(node_settings(simulator, evm_world), engine)
    payer, paid = evm_world.wallets
    points, maker = evm_world.tokens[1]["points"], evm_world.tokens[1]["maker"]
    with engine.begin() as connection:
        for token in (points, maker):
            connection.exec_driver_sql(
                "INSERT INTO token_registry (chain_id, token_address, symbol, lists) VALUES (1, %s, 'PTS', '{aave}')",
                (token,),
            )
    register(engine, "ann", payer)
    register(engine, "bob", paid)

    sync(runtime, "ann", trigger="schedule")
    sync(runtime, "bob", trigger="schedule")
    assert (held(engine, "ann")[(1, points)], held(engine, "ann")[(1, maker)]) == (4_200, 15 * 10**17)
    assert (1, points) not in held(engine, "bob")

    evm_world.transfer(1, points, 200, sender=payer, to=paid)
    sync(runtime, "bob", trigger="schedule")
    assert (1, points) not in held(engine, "bob")
    sync(runtime, "bob", trigger="manual")
    assert held(engine, "bob")[(1, points)] == 200
    sync(runtime, "ann", trigger="schedule")
    assert held(engine, "ann")[(1, points)] == 4_000


def test_a_node_serves_the_chain_that_alchemy_refuses(
    engine: Engine, simulator: RunningSimulator, evm_world: EvmWorld
) -> None:
    nodes = {"RPC_URL_POLYGON": evm_world.environment()["RPC_URL_POLYGON"]}
    alchemy = {**simulator.environment(), "ALCHEMY_RETRY_DELAY": "1"}
    runtime = open_runtime(Settings.from_environment({**alchemy, **nodes}), engine)
    wallet = evm_world.wallets[0].lower()
    register(engine, "ann", wallet)
    simulator.fault("partial_error", network="polygon-mainnet")
    simulator.fault("forbidden", network="polygon-mainnet", endpoint="eth_getBalance")

    assert sync(runtime).status == "completed"

    polygon = {key: balance for key, balance in held(engine).items() if key[0] == 137}
    assert polygon == on_chain(evm_world, wallet, 137, curated(evm_world, 137))


def test_chains_without_any_source_are_skipped_with_what_to_set(engine: Engine, evm_world: EvmWorld, simulator) -> None:
    only_base = {"RPC_URL_BASE": evm_world.environment()["RPC_URL_BASE"]}
    prices = {name: value for name, value in simulator.environment().items() if "ALCHEMY" not in name}
    runtime = open_runtime(Settings.from_environment({**prices, **only_base}), engine)
    register(engine, "ann", evm_world.wallets[0])

    outcome = sync(runtime)

    assert outcome.status == "partial"
    assert "RPC_URL_POLYGON" in (outcome.message or "")
