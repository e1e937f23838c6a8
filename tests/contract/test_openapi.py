"""The API keeps what its own description says, whatever is sent to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks

from tests.contract.conftest import Deploy, config
from tests.support.outpost import HUBS

AUTH = ("hub1", HUBS["hub1"])


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, deploy_outpost: Deploy) -> Iterator[str]:
    """An Outpost that takes any start."""
    running = deploy_outpost(tmp_path_factory.mktemp("openapi"), config())
    try:
        yield running.start().url
    finally:
        running.close()


OPERATIONS = [
    ("post", "/services"),
    ("get", "/services"),
    ("get", "/services/{name}/{start_id}"),
    ("delete", "/services/{name}/{start_id}"),
    ("get", "/flavors"),
    ("post", "/userflavors"),
    ("get", "/credits"),
    ("post", "/usercredits"),
    ("get", "/ping"),
    ("get", "/health"),
    ("post", "/ssh-node"),
]


def test_every_operation_is_described(url: str) -> None:
    paths = httpx.get(f"{url}/openapi.json", auth=AUTH).json()["paths"]
    assert {(method, path) for path in paths for method in paths[path]} == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_makes_the_server_fail_or_break_its_description(url: str, method: str, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json", auth=AUTH)

    @given(case=schema[path][method].as_strategy())
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def answers_well(case: Any) -> None:
        case.call_and_validate(auth=AUTH, checks=CHECKS)

    answers_well()
