"""The same page where events go by Kafka: the worker's to the broker, and the broker's to the gateway."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from moonx_pipeline.simulator.server import RunningSimulator
from moonx_pipeline_tests.fixtures.kafka import KafkaTopics
from moonx_pipeline_tests.page.look import panel, row, sync_button, until_live
from moonx_pipeline_tests.page.site import BASE, running_site, sim_token
from moonx_pipeline_tests.page.visits import Visits


def test_a_click_changes_the_table_by_way_of_kafka(
    built_page: None,
    postgres_server: str,
    simulator: RunningSimulator,
    kafka_topics: KafkaTopics,
    visits: Visits,
    tmp_path: Path,
) -> None:
    with running_site(postgres_server, simulator, tmp_path, **kafka_topics.environment) as site:
        site.system.start("moonx_pipeline", "relay")
        usdc = sim_token(BASE, "USDC")
        user, wallet = site.member()
        site.hold(wallet, usdc, "100")
        site.read(user)
        page = visits.open(site.link(user))
        until_live(page)
        expect(row(page, "USDC", "Base")).to_contain_text("100")

        site.hold(wallet, usdc, "112.5")
        sync_button(page).click()

        expect(row(page, "USDC", "Base")).to_contain_text("112.5")
        expect(panel(page)).to_contain_text("+ 12.5 USDC on Base")
        page.close()
