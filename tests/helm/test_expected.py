"""What the chart makes of whole values files is as it is stored; ``make helm-expected`` writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

import kubernetes_validate
import pytest

from tests.helm.helm import EXPECTED, VALUES, VERSIONS, Helm, expectation

FILES = sorted(VALUES.glob("*.yaml"))
KUBERNETES = ("1.25", kubernetes_validate.latest_version())
"""The oldest that operators have, and the newest that is known here."""

OTHERS = "monitoring.coreos.com/"
"""The Prometheus operator's kinds, which Kubernetes does not know."""

every_file = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


@every_file
def test_lint_has_nothing_to_say(helm: Helm, chart: Path, file: Path) -> None:
    helm.lint(file, chart)


@every_file
def test_a_values_file_makes_what_is_expected(helm: Helm, chart: Path, file: Path) -> None:
    made = expectation(helm.template(file, chart=chart))
    stored = EXPECTED / file.name
    if os.environ.get("OUTPOST_WRITE_EXPECTED") == "1" and helm.version == VERSIONS[0]:
        stored.write_text(made)
    assert made == stored.read_text()


def test_nothing_is_expected_of_a_values_file_that_is_gone() -> None:
    assert sorted(file.name for file in EXPECTED.glob("*")) == [file.name for file in FILES]


@every_file
def test_kubernetes_knows_every_field(newest: Helm, chart: Path, file: Path) -> None:
    made = newest.template(file, chart=chart)
    validated = [item for item in made if not item["apiVersion"].startswith(OTHERS)]
    for version in KUBERNETES:
        for item in validated:
            kubernetes_validate.validate(item, version, strict=True)
    assert {item["kind"] for item in made if item not in validated} <= {"ServiceMonitor", "PrometheusRule"}
