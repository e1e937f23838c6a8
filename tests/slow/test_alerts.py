"""The alert rules, in Prometheus's own tool: each is raised by what it is for, and by nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.outpost import ROOT

pytestmark = pytest.mark.slow

RULES = ROOT / "helm/outpost/files/alerts.yaml"
ALERTS = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
HUB = 'namespace="n", hub="h"'
QUIET = {
    "outpost_build_info": "1x120",
    "outpost_database_up{namespace='n'}": "1x120",
    "outpost_file_broken{namespace='n', file='config'}": "0x120",
    "outpost_oldest_service_age_seconds{namespace='n', status='pending'}": "2x120",
    "outpost_oldest_service_age_seconds{namespace='n', status='stopping'}": "60x120",
    "outpost_schedule_last_success_timestamp_seconds{namespace='n', schedule='recover'}": "0+60x120",
    "outpost_requests_total{namespace='n', call='start', status='200'}": "0+1x120",
    f"outpost_starts_total{{{HUB}, outcome='running'}}": "0+1x120",
    f"outpost_polls_total{{{HUB}, outcome='running'}}": "0+10x120",
    f"outpost_hub_calls_total{{{HUB}, call='events', outcome='ok'}}": "0+1x120",
}
"""An hour or two in which everything is as it should be; a value a minute."""

TROUBLE: dict[str, dict[str, str]] = {
    "OutpostAbsent": {"outpost_build_info": "_x120"},
    "OutpostDatabaseAway": {"outpost_database_up{namespace='n'}": "0x120"},
    "OutpostServerErrors": {"outpost_requests_total{namespace='n', call='start', status='503'}": "0+1x120"},
    "OutpostStartsFail": {f"outpost_starts_total{{{HUB}, outcome='failed'}}": "0+2x120"},
    "OutpostServicePending": {"outpost_oldest_service_age_seconds{namespace='n', status='pending'}": "0+60x120"},
    "OutpostServiceStopping": {"outpost_oldest_service_age_seconds{namespace='n', status='stopping'}": "0+60x120"},
    "OutpostPollsUnknown": {f"outpost_polls_total{{{HUB}, outcome='unknown'}}": "0+5x120"},
    "OutpostHubUnreachable": {
        f"outpost_hub_calls_total{{{HUB}, call='events', outcome='ok'}}": "0x120",
        f"outpost_hub_calls_total{{{HUB}, call='events', outcome='unreachable'}}": "0+1x120",
    },
    "OutpostTunnelsRefused": {f"outpost_hub_calls_total{{{HUB}, call='tunnel', outcome='refused'}}": "0x60 1x60"},
    "OutpostFileBroken": {"outpost_file_broken{namespace='n', file='config'}": "1x120"},
    "OutpostScheduleStands": {
        "outpost_schedule_last_success_timestamp_seconds{namespace='n', schedule='recover'}": "60x120"
    },
}


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus's tool; where it is not installed the test is skipped, unless the checks require it."""
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("OUTPOST_REQUIRE_PROMTOOL") == "1":
            pytest.fail("there is no promtool")
        pytest.skip("there is no promtool here; .ci/run installs it and runs this")
    return found


def raised(promtool: str, folder: Path, changed: dict[str, str]) -> set[str]:
    """The alerts that stand after an hour and a half: promtool, which expects none, names them."""
    series = [{"series": name, "values": values} for name, values in (QUIET | changed).items()]
    none = [{"eval_time": "90m", "alertname": alert, "exp_alerts": []} for alert in ALERTS]
    case = {"rule_files": [str(RULES)], "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": none}]}
    path = folder / "case.yaml"
    path.write_text(yaml.safe_dump(case))
    told = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True)
    names = {alert for alert in ALERTS if f"alertname: {alert}," in told.stdout + told.stderr}
    assert bool(names) == bool(told.returncode), told.stdout + told.stderr
    return names


def test_the_rules_are_valid(promtool: str) -> None:
    told = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


def test_nothing_is_raised_while_everything_is_as_it_should_be(promtool: str, tmp_path: Path) -> None:
    assert raised(promtool, tmp_path, {}) == set()


def test_every_alert_is_tried() -> None:
    assert set(TROUBLE) == set(ALERTS)


@pytest.mark.parametrize("alert", TROUBLE)
def test_trouble_raises_its_alert_and_no_other(promtool: str, tmp_path: Path, alert: str) -> None:
    assert raised(promtool, tmp_path, TROUBLE[alert]) == {alert}
