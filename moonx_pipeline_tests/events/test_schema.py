"""The published shapes, and the document that speaks of them."""

from copy import deepcopy
from pathlib import Path

import jsonschema
import pytest
import yaml

from moonx_pipeline.domain.event_types import EVENT_TYPES, TOPIC_NAMES
from moonx_pipeline.events.schema import event_schemas
from moonx_pipeline_tests.support.examples import updated
from moonx_pipeline_tests.support.rows import position

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


def test_every_schema_is_one() -> None:
    for schema in event_schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


def _referenced(channels: list[dict], kind: str) -> set[str]:
    """The names of the components that the messages of some channels refer to."""
    refs = [message["$ref"] for channel in channels for message in channel["messages"].values()]
    return {ref.rsplit("/", 1)[1] for ref in refs if ref.startswith(f"#/components/{kind}/")}


def _channels(document: dict, server: str) -> list[dict]:
    wanted = [{"$ref": f"#/servers/{server}"}]
    return [channel for channel in document["channels"].values() if channel["servers"] == wanted]


def test_the_document_names_every_topic_and_the_schema_of_every_event() -> None:
    document = yaml.safe_load(DOCUMENT.read_text())
    topics = _channels(document, "kafka")

    assert {channel["address"] for channel in topics} == set(TOPIC_NAMES)
    messages = [document["components"]["messages"][name] for name in _referenced(topics, "messages")]
    assert {message["name"] for message in messages} == set(event_schemas())
    for message in messages:
        assert (DOCUMENT.parent / message["payload"]["$ref"]).resolve().is_file()
        assert event_schemas()[message["name"]]["title"] == message["name"]


def test_the_document_names_every_message_of_sockets_with_the_data_of_its_event() -> None:
    document = yaml.safe_load(DOCUMENT.read_text())
    rooms = _channels(document, "gateway")
    messages = {
        message["name"]: message["payload"]
        for message in (document["components"]["messages"][name] for name in _referenced(rooms, "messages"))
    }

    emitted = {of.socket_name: of.name for of in EVENT_TYPES if of.socket_name}
    assert messages.keys() == {*emitted, "sync_progress", "session_ended", "join_room"}
    for name, event in emitted.items():
        data, envelope = messages[name]["allOf"]
        assert data == {"$ref": f"../moonx_pipeline/events/schemas/{event}.json#/properties/data"}
        assert envelope == {"$ref": "#/components/schemas/socketEnvelope"}


def test_a_portfolio_fits_its_schema_and_so_does_one_of_an_earlier_version() -> None:
    schema = event_schemas()["portfolio.updated"]
    event = updated((position(1), position(2, price=None))).payload
    earlier = deepcopy(event)
    for shown in earlier["data"]["tokens"]:
        del shown["isCounted"], shown["notCountedReason"]
    del earlier["data"]["omitted"]["lowLiquidity"], earlier["data"]["omitted"]["unread"]

    for told in (event, earlier):
        jsonschema.validate(told, schema, cls=jsonschema.Draft202012Validator)


def test_an_unread_chain_may_have_a_code_and_one_of_an_earlier_version_has_none() -> None:
    failed = event_schemas()["sync.completed"]["properties"]["data"]["properties"]["failedChains"]
    chain = {"chainId": 137, "reason": "It took too long.", "staleSince": None}

    jsonschema.validate([chain, {**chain, "code": "timeout"}], failed, cls=jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{**chain, "code": 7}], failed, cls=jsonschema.Draft202012Validator)
