"""Both versions of Helm."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helm.helm import CHART, VERSIONS, Helm

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder need Helm."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.helm)


@pytest.fixture(params=VERSIONS, ids=[f"helm{version}" for version in VERSIONS])
def helm(request: pytest.FixtureRequest, tmp_path: Path) -> Helm:
    """Each version."""
    return Helm(request.param, tmp_path)


@pytest.fixture
def newest(tmp_path: Path) -> Helm:
    """The newest version: for what a template says, whichever version reads it."""
    return Helm(VERSIONS[-1], tmp_path)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """The chart with a small dashboard and one alert, so that what is expected does not change with theirs."""
    copy = Path(shutil.copytree(CHART, tmp_path / "outpost"))
    (copy / "files" / "dashboard.json").write_text('{"title": "Outpost", "legend": "{{hub}}"}\n')
    alert = '{alert: Down, expr: up == 0, annotations: {summary: "{{ $labels.pod }} is down"}}'
    (copy / "files" / "alerts.yaml").write_text(f"groups: [{{name: outpost, rules: [{alert}]}}]\n")
    return copy
