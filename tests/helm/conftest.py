"""Both versions of Helm."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helm.helm import VERSIONS, Helm

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
