"""One development chain: an anvil process and its JSON-RPC."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final, cast

import requests
from eth_abi.abi import decode, encode
from eth_utils.abi import function_signature_to_4byte_selector

from moonx_pipeline.errors import OperatorError

# A shell runs the node and ends it when its standard input closes, so the node can't outlive this process,
# however that ends. The shell closes its own copy of the output, so that the output's end means the node's end.
_WATCHED: Final = '"$0" "$@" & exec >/dev/null 2>&1; read -r _; kill $!; wait $!'
_READY: Final = "Listening on "
_STOP_SECONDS: Final = 5
_CALL_SECONDS: Final = 30


class EvmChain:
    """A running chain with funded, unlocked accounts, whose every transaction is a block of its own.

    Attributes:
        chain_id: Its EIP-155 chain id.
        url: The URL of its JSON-RPC, on this machine only.
    """

    def __init__(self, anvil: Path, chain_id: int, *, coins: int = 10) -> None:
        """Starts the node; ``ready`` waits for it.

        Args:
            anvil: The node's executable.
            chain_id: Its EIP-155 chain id.
            coins: Native coins of each account.
        """
        self.chain_id = chain_id
        self.url = ""
        self._http = requests.Session()
        self._http.trust_env = False  # calls to this machine need no proxy
        # Port 0: the system chooses a free port, and the node prints it.
        options = ["--port", "0", "--chain-id", str(chain_id), "--balance", str(coins), "--threads", "1"]
        self._process = subprocess.Popen(  # noqa: S603 - our shell line and npm's executable, no text of a user
            ["/bin/sh", "-c", _WATCHED, str(anvil), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we stop the node
        )
        self._input = cast("IO[str]", self._process.stdin)
        self._output = cast("IO[str]", self._process.stdout)

    def ready(self) -> EvmChain:
        """Waits until the node answers.

        Raises:
            OperatorError: It ended instead.
        """
        said = []
        for line in self._output:
            if line.startswith(_READY):
                self.url = f"http://{line.removeprefix(_READY).strip()}"
                # From here on nobody reads the node's output, and a full pipe would block it.
                self.rpc("anvil_setLoggingEnabled", False)
                return self
            said.append(line.strip())
        raise OperatorError(f"The EVM node of chain {self.chain_id} did not start: {' '.join(said[-3:])}")

    def stop(self) -> None:
        """Ends the node, and returns once it has ended. May be called twice."""
        self._http.close()
        with contextlib.suppress(OSError):
            self._input.close()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._output.close()

    def rpc(self, method: str, *params: object) -> Any:
        """Makes one JSON-RPC call and returns its result.

        Raises:
            OperatorError: The node answered with an error.
        """
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._http.post(self.url, json=request, timeout=_CALL_SECONDS).json()
        if "error" in answer:
            raise OperatorError(f"The EVM node of chain {self.chain_id} refused {method}: {answer['error']['message']}")
        return answer["result"]

    def accounts(self) -> list[str]:
        """The funded accounts, lower case."""
        return [str(account).lower() for account in self.rpc("eth_accounts")]

    def call(self, contract: str, signature: str, arguments: Sequence[object], returns: str) -> Any:
        """Calls a contract's function, such as ``call(usdc, "balanceOf(address)", [wallet], "uint256")``."""
        raw = self.rpc("eth_call", {"to": contract, "data": _call_data(signature, arguments)}, "latest")
        return decode([returns], bytes.fromhex(raw[2:]))[0]

    def balance(self, wallet: str) -> int:
        """Native coins of an account, in wei."""
        return int(self.rpc("eth_getBalance", wallet, "latest"), 16)

    def send(
        self, sender: str, to: str, signature: str = "", arguments: Sequence[object] = (), *, wei: int = 0
    ) -> None:
        """Sends native coins or calls a contract's function, and returns when it is in a block.

        Raises:
            OperatorError: The transaction was refused or reverted.
        """
        data = _call_data(signature, arguments) if signature else "0x"
        self._mine({"from": sender, "to": to, "data": data, "value": hex(wei)})

    def deploy(self, sender: str, code: str, types: Sequence[str], arguments: Sequence[object]) -> str:
        """Creates a contract.

        Args:
            sender: Account that pays.
            code: Creation code, 0x-hex.
            types: Solidity types of the constructor's arguments.
            arguments: Their values.

        Returns:
            Its address, lower case.
        """
        receipt = self._mine({"from": sender, "data": code + encode(types, arguments).hex()})
        return str(receipt["contractAddress"]).lower()

    def move_contract(self, source: str, target: str, slots: Sequence[int]) -> str:
        """Gives ``target`` the code of ``source`` and the content of the given storage slots.

        So a contract of ours can have the address of a well-known contract of the real chain.
        """
        self.rpc("anvil_setCode", target, self.rpc("eth_getCode", source, "latest"))
        for slot in slots:
            content = self.rpc("eth_getStorageAt", source, hex(slot), "latest")
            self.rpc("anvil_setStorageAt", target, hex(slot), content)
        return target

    def _mine(self, transaction: dict[str, object]) -> dict[str, Any]:
        receipt: dict[str, Any] = self.rpc("eth_sendTransactionSync", transaction)
        if receipt["status"] != "0x1":
            raise OperatorError(f"A transaction on chain {self.chain_id} was reverted: {receipt['transactionHash']}")
        return receipt


def _call_data(signature: str, arguments: Sequence[object]) -> str:
    types = signature[signature.index("(") + 1 : -1]
    encoded = encode(types.split(",") if types else [], arguments)
    return "0x" + (function_signature_to_4byte_selector(signature) + encoded).hex()
