"""Reading what is served at ``/metrics``."""

from __future__ import annotations

import requests
from prometheus_client.parser import text_string_to_metric_families


def scrape(url: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples by name and labels."""
    answer = requests.get(f"{url}/metrics", timeout=10)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


class Samples(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """Samples that can be added up."""

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric over all samples that have these labels."""
        wanted = set(labels.items())
        return sum(value for (found, having), value in self.items() if found == name and wanted <= having)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self}


def samples(url: str) -> Samples:
    """What a process serves now."""
    return Samples(scrape(url))
