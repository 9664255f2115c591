"""A real Geth with chain id 1 and contracts of ours in its genesis, whose every transaction is a block of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import requests
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.simulator.server import free_port

GETH: Final = ("github.com/ethereum/go-ethereum/cmd/geth", "v1.17.10", "geth")
"""Its package, version and executable, for ``go_tool``."""

_BLOCKS: Final = (
    "homesteadBlock eip150Block eip155Block eip158Block byzantiumBlock constantinopleBlock petersburgBlock "
    "istanbulBlock berlinBlock londonBlock shanghaiTime cancunTime terminalTotalDifficulty"
)

_TRANSFER: Final = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


def token_code() -> str:
    """Code of a token whose balances are its storage, by address.

    A call with 36 bytes is ``balanceOf``. Any other, with an address in 32 bytes, gives that address a balance of 1 and
    logs a transfer to it.
    """
    transfer = bytes.fromhex(f"600160003555600035337f{_TRANSFER}60206000a300")
    answer = bytes.fromhex("5b6004355460005260206000f3")
    head = bytes.fromhex("3660241460")
    place = len(head) + 2 + len(transfer)
    return "0x" + (head + bytes([place, 0x57]) + transfer + answer).hex()


class GethNode:
    """A running node."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False

    def rpc(self, method: str, *params: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._http.post(self.url, json=body, timeout=20).json()
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def give(self, token: str, wallet: str) -> int:
        """Has a token give a wallet a balance of 1; returns the block."""
        data = f"0x{wallet[2:]:0>64}"
        sent = self.rpc("eth_sendTransaction", {"from": self.rpc("eth_accounts")[0], "to": token, "data": data})
        retry = retry_if_exception_type((TypeError, AssertionError))  # not mined, not indexed
        for attempt in Retrying(retry=retry, stop=stop_after_delay(20), wait=wait_fixed(0.02), reraise=True):
            with attempt:
                receipt = self.rpc("eth_getTransactionReceipt", sent)
                assert receipt["status"] == "0x1"
        return int(receipt["blockNumber"], 16)


@contextmanager
def running_geth(binary: Path, folder: Path, alloc: Mapping[str, Mapping[str, object]]) -> Iterator[GethNode]:
    """Runs a node whose genesis has these accounts."""
    data, port, password = folder / "data", free_port(), folder / "password"
    password.write_text("")
    made = subprocess.run(
        [binary, "account", "new", "--lightkdf", "--datadir", data, "--password", password],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    payer = made.stdout.partition("Public address of the key:")[2].split()[0]
    blob = {"cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3338477}}
    config = {"chainId": 1, **dict.fromkeys(_BLOCKS.split(), 0), "blobSchedule": blob}
    accounts = {payer: {"balance": hex(10**20)}, **alloc}
    genesis = folder / "genesis.json"
    genesis.write_text(
        json.dumps({"config": config, "difficulty": "0x0", "gasLimit": hex(50_000_000), "alloc": accounts})
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([binary, "init", "--datadir", data, genesis], check=True, timeout=60, **quiet)
    options = ["--http", "--http.port", str(port), "--http.api", "eth", "--ipcdisable"]
    process = subprocess.Popen([binary, "--dev", "--datadir", data, "--password", password, *options], **quiet)
    try:
        node = GethNode(f"http://127.0.0.1:{port}")
        retry = retry_if_exception_type(requests.ConnectionError)
        for attempt in Retrying(retry=retry, stop=stop_after_delay(60), wait=wait_fixed(0.1), reraise=True):
            with attempt:
                node.rpc("eth_chainId")
        yield node
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(data, ignore_errors=True)
