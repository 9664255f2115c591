"""The same page where events go by Kafka: the relay's to the broker, and the broker's to the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from moonx_pipeline_tests.fixtures.gateway import running_gateway
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.page.look import panel, row, sync_button, until_live
from moonx_pipeline_tests.page.site import BASE, Site, sim_token
from moonx_pipeline_tests.page.visits import Visits


@pytest.fixture
def site_with_kafka(site: Site, kafka_topics: KafkaTopics, tmp_path: Path) -> Iterator[Site]:
    """The same system with a relay and a gateway that know Kafka."""
    relay, _ = site.system.start("moonx_pipeline", "relay", **kafka_topics.environment)
    with running_gateway(
        site.system.environment["DATABASE_URL"],
        tmp_path,
        DAGSTER_GRAPHQL_URL=site.system.graphql,
        **kafka_topics.environment,
    ) as gateway:
        yield Site(site.system, gateway, site.simulator)
    relay.terminate()
    assert relay.wait(30) == 0


def test_a_click_changes_the_table_by_way_of_kafka(site_with_kafka: Site, visits: Visits) -> None:
    site, usdc = site_with_kafka, sim_token(BASE, "USDC")
    user, wallet = site.member(holds=(usdc, "100"))
    page = visits.open(site.link(user))
    until_live(page)
    expect(row(page, "USDC", "Base")).to_contain_text("100")

    site.hold(wallet, usdc, "112.5")
    sync_button(page).click()

    expect(row(page, "USDC", "Base")).to_contain_text("112.5")
    expect(panel(page)).to_contain_text("+ 12.5 USDC on Base")
    page.close()
