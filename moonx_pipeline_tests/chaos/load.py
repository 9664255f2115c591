"""What users do meanwhile: they click, look, keep pages open, and their wallets move."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import requests

from moonx_pipeline.simulator.tokens import derived_address
from moonx_pipeline.simulator.world import initial_holdings
from moonx_pipeline_tests.chaos.history import Change, Place, Seen, Viewed
from moonx_pipeline_tests.chaos.rig import Rig
from moonx_pipeline_tests.fixtures.gateway import token_of
from moonx_pipeline_tests.fixtures.missing import unavailable

USERS: Final = 12
_SCRIPT: Final = Path(__file__).with_name("sockets.mjs")
_LIBRARY: Final = Path(__file__).parents[2] / "web" / "node_modules" / "socket.io-client"
_TOKEN_SECONDS: Final = 6 * 3600
_ANSWER_SECONDS: Final = 15.0
_CLICK_SECONDS, _MOVE_SECONDS, _LOOK_SECONDS = 1.5, 0.7, 2.0


class Wallets:
    """The users' wallets in the simulated world, with what each held when."""

    def __init__(self, rig: Rig, users: dict[str, str]) -> None:
        """Registers users with their wallets."""
        self._world = rig.simulator.simulation.world
        self._random = random.Random(1)  # noqa: S311 - a made-up market, not a secret
        self.truth: dict[Place, list[Change]] = {}
        for user, wallet in users.items():
            rig.register(user, wallet)
            for chain, holdings in initial_holdings(wallet).items():
                for holding in holdings:
                    self.truth[wallet, chain, holding.token.address] = [Change(0.0, holding.balance)]

    def move(self) -> None:
        """Changes a balance; now and then to nothing."""
        place = self._random.choice(list(self.truth))
        wallet, chain, address = place
        token = self._world.token(chain, address)
        assert token is not None
        balance = self._random.choice([0, *(self._random.randrange(10**4, 10**18) for _ in range(4))])
        self.truth[place].append(Change(time.time(), balance))
        self._world.set_balance(wallet, token, balance)


class Sockets:
    """A page of each user at each gateway, kept open by the official client."""

    def __init__(self, rig: Rig, users: dict[str, str]) -> None:
        if shutil.which("node") is None or not _LIBRARY.is_dir():
            unavailable("The official client needs Node.js, and 'npm ci' in web/.")
        self.users: dict[str, str] = {}
        self.seen: list[Seen] = []
        self.connected: set[str] = set()
        given = []
        for user in users:
            token = token_of(user, seconds=_TOKEN_SECONDS)
            for gateway in rig.gateways:
                client = f"{user}@{gateway}"
                self.users[client] = user
                given.append({"client": client, "url": rig.gateway_url(gateway), "token": token})
        self._process = subprocess.Popen(
            ["node", str(_SCRIPT), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, name="sockets", daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            client = told["client"]
            if told["name"] == "connect":
                self.connected.add(client)
            elif told["name"] == "disconnect":
                self.connected.discard(client)
            else:
                self.seen.append(Seen(client, self.users[client], told["name"], told["data"]))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Load:
    """Users who act until they are told to stop."""

    def __init__(self, rig: Rig, users: int = USERS, seed: int = 1) -> None:
        """Registers users, and opens their pages."""
        self._rig = rig
        self.users = {f"user{number}": derived_address(f"wallet: chaos {number}") for number in range(users)}
        self.wallets = Wallets(rig, self.users)
        self.sockets = Sockets(rig, self.users)
        self.accepted: list[str] = []
        self.viewed: list[Viewed] = []
        self._random = random.Random(seed)  # noqa: S311 - who clicks when, not a secret
        self._tokens: dict[str, str] = {}
        for user in self.users:
            self.admit(user)
        # Clicks go on while some of them wait for a gateway that is silent.
        self._clicking = ThreadPoolExecutor(32, thread_name_prefix="click")
        self._waiting: set[Future[object]] = set()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def admit(self, user: str) -> None:
        """Lets somebody ask, who need not be one of the users."""
        self._tokens[user] = token_of(user, seconds=_TOKEN_SECONDS)

    def start(self) -> None:
        """Lets users act."""
        self._stopped.clear()
        for pause, act in (
            (_CLICK_SECONDS, self._click_somewhere),
            (_MOVE_SECONDS, self.wallets.move),
            (_LOOK_SECONDS, self._look_somewhere),
        ):
            thread = threading.Thread(target=self._repeat, args=(pause, act), name="load", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _repeat(self, pause: float, act: Callable[[], object]) -> None:
        while not self._stopped.wait(pause):
            act()

    def pause(self) -> None:
        """Lets users rest, once what they asked is answered."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        wait(self._waiting)
        self._waiting.clear()

    def stop(self) -> None:
        self.pause()
        self._clicking.shutdown(cancel_futures=True)
        self.sockets.stop()

    def _somebody(self) -> tuple[str, str]:
        return self._random.choice(list(self.users)), self._random.choice(list(self._rig.gateways))

    def _click_somewhere(self) -> None:
        self._waiting.add(self._clicking.submit(self.click, *self._somebody()))

    def burst(self, count: int) -> None:
        """Many clicks at once, of all users at all gateways."""
        for _ in range(count):
            self._click_somewhere()

    def _look_somewhere(self) -> None:
        self._waiting.add(self._clicking.submit(self.look, *self._somebody()))

    def click(self, user: str, gateway: str) -> str | None:
        """Asks for a sync; returns the request's id if it was accepted."""
        said = self._ask("POST", gateway, user, "/api/v1/portfolio/refresh", key=str(uuid.uuid4()))
        if said is None:
            return None
        self.accepted.append(said["requestId"])
        return str(said["requestId"])

    def look(self, user: str, gateway: str) -> bool:
        """Looks at the portfolio, and notes it; returns whether it was answered."""
        said = self._ask("GET", gateway, user, "/api/v1/portfolio", includeSpam="true")
        if said is not None:
            self.viewed.append(Viewed(user, said))
        return said is not None

    def _ask(
        self, method: str, gateway: str, user: str, path: str, *, key: str | None = None, **query: str
    ) -> dict[str, Any] | None:
        headers = {"Authorization": f"Bearer {self._tokens[user]}", **({"Idempotency-Key": key} if key else {})}
        with suppress(requests.RequestException):
            answer = requests.request(
                method, self._rig.gateway_url(gateway) + path, headers=headers, params=query, timeout=_ANSWER_SECONDS
            )
            if answer.ok:
                data: dict[str, Any] = answer.json()["data"]
                return data
        return None
