"""The published shapes, and the document that speaks of them."""

from pathlib import Path

import jsonschema
import yaml

from moonx_pipeline.events.kafka import TOPICS
from moonx_pipeline.events.schema import event_schemas

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"


def test_every_schema_is_one() -> None:
    for schema in event_schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_document_names_every_topic_and_the_schema_of_every_event() -> None:
    document = yaml.safe_load(DOCUMENT.read_text())

    assert {channel["address"] for channel in document["channels"].values()} == set(TOPICS)
    messages = document["components"]["messages"]
    assert {message["name"] for message in messages.values()} == set(event_schemas())
    for message in messages.values():
        assert (DOCUMENT.parent / message["payload"]["$ref"]).resolve().is_file()
        assert event_schemas()[message["name"]]["title"] == message["name"]
