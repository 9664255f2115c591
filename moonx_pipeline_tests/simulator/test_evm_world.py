"""The world of real EVM chains: what it holds, that it can be rolled back, and that it leaves nothing running."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.simulator.assets import ASSETS
from moonx_pipeline.simulator.evm_toolchain import Toolchain, ToolchainMissing, ensure_toolchain
from moonx_pipeline.simulator.evm_world import ASSET_FUNDS, ODD_TOKENS, EvmWorld
from moonx_pipeline.simulator.networks import NATIVE_TOKEN, USUAL_CHAINS


def test_every_chain_has_every_token_and_funded_wallets(evm_world: EvmWorld) -> None:
    real = {symbol.lower(): amounts for symbol, amounts in ASSET_FUNDS.items()}
    assert set(evm_world.environment()) == {f"RPC_URL_{chain.slug.upper()}" for chain in USUAL_CHAINS}
    for chain in USUAL_CHAINS:
        tokens = evm_world.tokens[chain.id]
        assert int(evm_world.chains[chain.id].rpc("eth_chainId"), 16) == chain.id
        assert set(tokens) == {label for label in (*ODD_TOKENS, *real) if label != "wpol" or chain.slug == "polygon"}
        for label, address in tokens.items():
            held = tuple(evm_world.balance(chain.id, address, wallet) for wallet in evm_world.wallets)
            if label in real:
                assert held == tuple(evm_world.units(chain.id, address, amount) for amount in real[label])
            else:
                assert held == ODD_TOKENS[label].funds
        assert evm_world.balance(chain.id, NATIVE_TOKEN, evm_world.wallets[0]) == 10 * 10**18


def test_real_assets_stand_at_their_real_addresses_and_say_who_they_are(evm_world: EvmWorld) -> None:
    assert all(evm_world.tokens[chain.id].keys() - ODD_TOKENS.keys() for chain in USUAL_CHAINS)
    for chain in USUAL_CHAINS:
        assets = {asset.symbol.lower(): asset for asset in ASSETS if chain.id in asset.contracts}
        for label, address in evm_world.tokens[chain.id].items():
            if label in ODD_TOKENS:
                continue
            asset, node = assets[label], evm_world.chains[chain.id]
            assert asset.contracts[chain.id][1] == address
            assert node.call(address, "symbol()", [], "string") == asset.symbol
            assert node.call(address, "name()", [], "string") == asset.name
            assert node.call(address, "decimals()", [], "uint8") == asset.decimals


def test_a_fee_token_delivers_less_than_was_sent(evm_world: EvmWorld) -> None:
    sender, receiver = evm_world.wallets
    taxed = evm_world.tokens[1]["taxed"]

    evm_world.transfer(1, taxed, 1_000, sender=sender, to=receiver)

    assert evm_world.balance(1, taxed, receiver) == 990


def test_what_happened_is_rolled_back(evm_chains: EvmWorld) -> None:
    sender, receiver = evm_chains.wallets
    points = evm_chains.tokens[10]["points"]
    with evm_chains.rolled_back():
        evm_chains.transfer(10, points, 200, sender=sender, to=receiver)
        evm_chains.transfer(10, NATIVE_TOKEN, 1, sender=sender, to=receiver)
        assert evm_chains.balance(10, points, receiver) == 200

    assert evm_chains.balance(10, points, receiver) == 0
    assert evm_chains.balance(10, NATIVE_TOKEN, sender) == 10 * 10**18


def test_a_transfer_of_more_than_there_is_names_the_chain(evm_world: EvmWorld) -> None:
    sender, receiver = evm_world.wallets
    with pytest.raises(OperatorError, match="chain 8453"):
        evm_world.transfer(8453, evm_world.tokens[8453]["points"], 4_201, sender=sender, to=receiver)


HOLDER = """
import sys
from pathlib import Path
from moonx_pipeline.simulator.evm_world import running_evm
with running_evm(Path(sys.argv[1])) as world:
    print(" ".join(world.environment().values()), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, None], ids=["killed", "interrupted", "ended"])
def test_no_node_outlives_its_process(evm_toolchain: Toolchain, evm_cache: Path, ending: signal.Signals | None) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(evm_cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert holder.stdout is not None
    assert len(holder.stdout.readline().split()) == len(USUAL_CHAINS)
    nodes = [process for process in psutil.Process(holder.pid).children(recursive=True) if "anvil" in process.name()]
    assert len(nodes) == len(USUAL_CHAINS)

    if ending is not None:
        holder.send_signal(ending)
    holder.communicate(timeout=60)

    _, alive = psutil.wait_procs(nodes, timeout=60)
    assert alive == []


def test_without_npm_the_operator_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolchainMissing, match=r"'npm' was not found.*Install Node\.js"):
        ensure_toolchain(tmp_path / "cache")


def test_an_install_that_fails_says_why_and_leaves_nothing_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ToolchainMissing, match=r"could not install the EVM node and its contracts: code ENOTFOUND\."):
        ensure_toolchain(tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []
