"""One hub with one Outpost for all tests of the suite; each test has users of its own."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Cold, Emulated, OnCloudRun, Stack

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder are end-to-end tests."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what hub and Outpost said."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections += [(f"end of the log: {name}", tail) for name, tail in stack.logs()]
    return report


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(Stack, id="process"),
        pytest.param(Emulated, id="functions", marks=pytest.mark.slow),
        pytest.param(Cold, id="cold functions", marks=pytest.mark.slow),
        pytest.param(OnCloudRun, id="Cloud Run functions", marks=pytest.mark.slow),
    ],
)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running Outpost, and a running hub that uses it."""
    running: Stack = request.param(tmp_path_factory.mktemp("e2e"))
    try:
        running.start()
        yield running
    finally:
        running.close()
