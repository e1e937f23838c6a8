"""What Prometheus gets from an Outpost."""

from __future__ import annotations

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.support.outpost import NO_TLS


class Scrape:
    """One answer of ``/metrics``."""

    def __init__(self, url: str, seconds: float = 30) -> None:
        """Raises ``httpx.TimeoutException`` when the answer takes longer than so many seconds."""
        answer = httpx.get(f"{url}/metrics", timeout=seconds, verify=NO_TLS)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain; version=")
        self.text = answer.text
        self.families: list[Metric] = list(text_string_to_metric_families(self.text))

    @property
    def names(self) -> set[str]:
        """Of all series."""
        return {sample.name for family in self.families for sample in family.samples}

    def series(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """All series of that name, by their labels."""
        return {
            frozenset(sample.labels.items()): sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name
        }

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series with these labels; 0 without any."""
        return sum(value for key, value in self.series(name).items() if frozenset(labels.items()) <= key)
