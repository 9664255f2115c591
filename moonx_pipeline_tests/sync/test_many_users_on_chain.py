"""Two thousand users whose wallets move at random: sweeps by change end with what the chain says, at every block."""

from __future__ import annotations

import random
import threading
import time
from typing import Final

import pytest
from sqlalchemy import Engine

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.simulator.evm_chain import EvmChain
from moonx_pipeline.simulator.evm_world import EvmToken, EvmWorld
from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline.storage.portfolios.users import add_wallets
from moonx_pipeline.sync.runtime import Runtime, open_runtime
from moonx_pipeline_tests.support.own_node import held_on_chain, node_settings
from moonx_pipeline_tests.support.sweeps import make_due, sweep, wallet
from moonx_pipeline_tests.support.syncs import violations

pytestmark = pytest.mark.slow

USERS: Final = 2000
MOVING_SECONDS: Final = 6
ETHEREUM: Final = 1

Holdings = dict[tuple[str, str], int]
"""Balances above zero by wallet and token."""


@pytest.fixture
def chain(evm_world: EvmWorld) -> EvmChain:
    return evm_world.chains[ETHEREUM]


@pytest.fixture
def tokens(evm_world: EvmWorld) -> list[str]:
    made = [EvmToken("StandardToken", ("string", "string", "uint8"), (f"Token {n}", f"T{n}", 6)) for n in range(4)]
    return [evm_world.deploy(ETHEREUM, token) for token in made]


def stored(engine: Engine) -> Holdings:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT wallet_address, token_address, balance FROM user_token_holdings")
        return {(address, token): int(balance) for address, token, balance in rows}


def move(chain: EvmChain, wallets: list[str], tokens: list[str], luck: random.Random) -> None:
    """One random movement: coins sent on, tokens made, or tokens sent on whole or in part."""
    payer, (one, other), token = chain.accounts()[0], luck.sample(wallets, 2), luck.choice([*tokens, NATIVE_TOKEN])
    if token == NATIVE_TOKEN:
        chain.send(one, other, wei=luck.randint(1, 10**15))
        return
    balance = int(chain.call(token, "balanceOf(address)", [one], "uint256"))
    if balance:
        amount = balance if luck.random() < 0.5 else luck.randint(1, balance)
        chain.send(one, token, "transfer(address,uint256)", [other, amount])
    else:
        chain.send(payer, token, "mint(address,uint256)", [one, luck.randint(1, 10**9)])


def swept(runtime: Runtime) -> None:
    make_due(runtime.db.engine)
    report = sweep(runtime, batch_size=200)
    assert report.statuses == {"completed": USERS}, (report.statuses, report.problems, report.ended)


def test_sweeps_of_two_thousand_users_end_with_what_the_chain_says(
    engine: Engine, simulator: RunningSimulator, chain: EvmChain, tokens: list[str]
) -> None:
    luck = random.Random(2000)  # noqa: S311 - no secret
    wallets = [wallet(number) for number in range(USERS)]
    with engine.begin() as connection:
        for number, address in enumerate(wallets):
            add_wallets(connection, f"user{number:04}", [address])
    for address in wallets:
        chain.rpc("anvil_setBalance", address, hex(10**19))
        chain.rpc("anvil_impersonateAccount", address)
    # A sync has the time that a busy machine may need.
    runtime = open_runtime(node_settings(simulator, chain.url, WORKER_TIMEOUT="120000"), engine)
    swept(runtime)

    rounds, until = 0, time.monotonic() + MOVING_SECONDS
    while time.monotonic() < until or rounds < 2:
        is_over = threading.Event()

        def keep_moving(is_over: threading.Event = is_over) -> None:
            while not is_over.is_set():
                move(chain, wallets, tokens, luck)

        moving = threading.Thread(target=keep_moving)
        moving.start()
        try:
            swept(runtime)  # while they move
        finally:
            is_over.set()
            moving.join()
        swept(runtime)
        assert stored(engine) == held_on_chain(chain, wallets, tokens)
        rounds += 1

    with engine.connect() as connection:
        ways = set(connection.exec_driver_sql("SELECT DISTINCT way FROM user_chain_status").scalars())
    assert ways == {"bulk"}
    assert violations(engine) == []
