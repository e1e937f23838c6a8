"""``/metrics`` tells what happened and how things stand, to anybody, and names no user."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import Configured, config
from tests.support import postgresql
from tests.support.outpost import NO_TLS, ROOT, OutpostProcess
from tests.support.postgresql import Cluster
from tests.support.recording_hub import RecordingHub
from tests.support.scrape import Scrape
from tests.support.waiting import eventually

FLAVORS = 'c.JupyterHubOutpost.flavors = {"small": {"max": 2}, "large": {"max": 0}}\n'
FRESH = 20
"""Seconds; what is told of the database may be five seconds old."""


def test_starts_polls_and_stops_are_counted_by_outcome(configured: Configured) -> None:
    outpost, hub = configured("")
    hub.start("up", user_options={"exit": None})
    hub.start("broken", user_options={"fail": "before"})
    hub.start("short", user_options={"exit": 3})
    hub.poll("up")
    hub.poll_until_ended("short")
    hub.stop("up")
    scrape = Scrape(outpost.url)
    assert scrape.value("outpost_starts_total", hub="hub1", outcome="running") == 2
    assert scrape.value("outpost_starts_total", hub="hub1", outcome="failed") == 1
    assert scrape.value("outpost_start_duration_seconds_count", outcome="running") == 2
    assert scrape.value("outpost_polls_total", hub="hub1", outcome="running") >= 1
    assert scrape.value("outpost_polls_total", hub="hub1", outcome="ended") == 1
    assert scrape.value("outpost_stops_total", hub="hub1", outcome="stopped") == 2, "one of them after the failed start"
    assert scrape.value("outpost_requests_total", call="start", status="200") == 2
    assert scrape.value("outpost_requests_total", call="start", status="419") == 1
    assert scrape.value("outpost_request_duration_seconds_count", call="start") == 3


def test_a_stop_that_fails_and_a_poll_that_cannot_tell_are_counted(configured: Configured) -> None:
    outpost, hub = configured("")
    hub.start("deaf", user_options={"stop": "raises", "poll": "raises"})
    hub.poll("deaf")
    assert hub.stop("deaf").status_code == 419
    scrape = Scrape(outpost.url)
    assert scrape.value("outpost_polls_total", outcome="unknown") == 1
    assert scrape.value("outpost_stops_total", outcome="failed") == 1


def test_services_are_counted_by_hub_flavor_and_status(configured: Configured) -> None:
    outpost, hub = configured(FLAVORS + "c.Spawner.start_timeout = 60\n")
    for name in "ab":
        hub.start(name, flavor="small")
    hub.start("c", flavor="a client's own word")
    hub.start("d", asynchronous=True, user_options={"hang": True})

    def services() -> Scrape | None:
        scrape = Scrape(outpost.url)
        return scrape if scrape.value("outpost_services", status="starting") else None

    scrape = eventually(services)
    assert scrape is not None
    assert scrape.value("outpost_services", hub="hub1", flavor="small", status="running") == 2
    assert scrape.value("outpost_services", hub="hub1", flavor="_undefined", status="running") == 1
    assert "own word" not in scrape.text
    first = scrape.value("outpost_oldest_service_age_seconds", status="starting")
    eventually(lambda: Scrape(outpost.url).value("outpost_oldest_service_age_seconds", status="starting") > first)
    assert scrape.value("outpost_oldest_service_age_seconds", status="stopping") == 0


def test_a_service_that_cannot_be_stopped_grows_old(configured: Configured) -> None:
    outpost, hub = configured("")
    hub.start("deaf", user_options={"stop": "raises"})
    hub.stop("deaf")

    def age() -> float:
        return Scrape(outpost.url).value("outpost_oldest_service_age_seconds", status="stopping")

    eventually(lambda: age() > 0, FRESH)
    before = age()
    eventually(lambda: age() > before)


def test_refused_quotas_say_which_limit_it_was(configured: Configured) -> None:
    outpost, hub = configured(FLAVORS + "c.JupyterHubOutpost.flavors_undefined_max = 0\n")
    hub.start("a", flavor="large")
    hub.start("b", flavor="a client's own word")
    scrape = Scrape(outpost.url)
    assert scrape.series("outpost_quota_refusals_total") == {
        frozenset({("hub", "hub1"), ("flavor", "large"), ("limit", "max")}): 1,
        frozenset({("hub", "hub1"), ("flavor", "_undefined"), ("limit", "flavors_undefined_max")}): 1,
    }


def test_ends_of_run_times_and_schedules_are_counted(configured: Configured) -> None:
    runtime = 'c.JupyterHubOutpost.flavors = {"brief": {"max": -1, "runtime": {"seconds": 1}}}\n'
    outpost, hub = configured(runtime, JUPYTERHUB_CHECK_ENDDATES_SLEEP_TIMER="0.2")
    hub.start("a", flavor="brief")
    eventually(lambda: Scrape(outpost.url).value("outpost_expiries_total", hub="hub1") == 1)
    eventually(lambda: Scrape(outpost.url).value("outpost_schedule_runs_total", schedule="expire", outcome="ok") > 2)
    assert Scrape(outpost.url).value("outpost_schedule_last_success_timestamp_seconds", schedule="expire") > 1e9


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (403, "refused"), (0, "unreachable")])
def test_calls_to_hubs_are_counted_by_outcome(
    configured: Configured, hub_stub: RecordingHub, status: int, outcome: str
) -> None:
    outpost, hub = configured("")
    hub_stub.status = status
    hub.start("a", env=hub_stub.env())

    def told(call: str) -> float:
        return Scrape(outpost.url).value("outpost_hub_calls_total", call=call, outcome=outcome)

    eventually(lambda: told("events") and told("flavors"))
    all_told = Scrape(outpost.url)
    of_this = all_told.value("outpost_hub_calls_total", hub="hub1", outcome=outcome)
    assert all_told.value("outpost_hub_calls_total") == of_this


def test_a_schedule_that_never_succeeds_grows_old_from_the_start(configured: Configured) -> None:
    outpost, _ = configured("", OUTPOST_TUNNELS_SLEEP_TIMER="0.2")
    outpost.stop()
    with closing(sqlite3.connect(outpost.env["SQL_DATABASE_URL"])) as database:
        database.execute("DROP TABLE ssh_node")
    outpost.start(OUTPOST_MIGRATE="never")
    scrape = Scrape(outpost.url)
    for schedule in ("recover", "tunnels"):
        assert scrape.value("outpost_schedule_last_success_timestamp_seconds", schedule=schedule) > 1e9
        for outcome in ("ok", "failed"):
            runs = frozenset({("schedule", schedule), ("outcome", outcome)})
            assert runs in scrape.series("outpost_schedule_runs_total")

    def last() -> float:
        return Scrape(outpost.url).value("outpost_schedule_last_success_timestamp_seconds", schedule="tunnels")

    def failed() -> float:
        return Scrape(outpost.url).value("outpost_schedule_runs_total", schedule="tunnels", outcome="failed")

    eventually(failed)
    before, times = last(), failed()
    eventually(lambda: failed() > times)
    assert last() == before


def test_the_first_time_something_happens_is_a_rise(configured: Configured) -> None:
    outpost, _ = configured("")
    scrape = Scrape(outpost.url)
    for hub in ("hub1", "hub2"):
        assert scrape.series("outpost_starts_total")[frozenset({("hub", hub), ("outcome", "failed")})] == 0
        refused = frozenset({("hub", hub), ("call", "tunnel"), ("outcome", "refused")})
        assert scrape.series("outpost_hub_calls_total")[refused] == 0


def test_dashboard_and_alerts_speak_of_metrics_that_exist(configured: Configured) -> None:
    outpost, hub = configured(FLAVORS)
    hub.start("a", flavor="large")  # a refusal has a series only once it has happened
    hub.start("b", flavor="small")

    def told() -> Scrape | None:
        scrape = Scrape(outpost.url)
        return scrape if scrape.value("outpost_services") and scrape.value("outpost_schedule_runs_total") else None

    scrape = eventually(told, FRESH)
    assert scrape is not None
    for name in ("dashboard.json", "alerts.yaml"):
        text = (ROOT / "helm/outpost/files" / name).read_text()
        used = set(re.findall(r"\b(?:outpost|process)_[a-z_]+", text)) - {"outpost"}
        assert used
        assert used <= scrape.names, f"{name} asks for what there is not"


def test_the_page_describes_every_metric_and_alert(configured: Configured) -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    outpost, _ = configured("")
    described = {family.name for family in Scrape(outpost.url).families if family.name.startswith("outpost_")}
    assert sorted(name for name in described if f"`{name}" not in page) == []
    alerts = re.findall(r"alert: (\w+)", (ROOT / "helm/outpost/files/alerts.yaml").read_text())
    assert sorted(alert for alert in alerts if f"### {alert}\n" not in page) == []


def test_no_user_is_named_and_nothing_secret_told(configured: Configured) -> None:
    outpost, hub = configured(FLAVORS)
    env = {"JUPYTERHUB_USER_ID": "4711", "JUPYTERHUB_USER": "ada", "JUPYTERHUB_API_TOKEN": "a-token-of-hers"}
    hub.start("ada-server", env=env, user_options={"start_id": "start-77"}, flavor="ada-flavor")
    hub.poll("ada-server", "start-77")
    hub.stop("ada-server", "start-77")
    text = Scrape(outpost.url).text
    private = ("ada", "4711", "start-77", "a-token", *outpost.env["passwords"].split(";"))
    assert not [word for word in private if word in text]


def test_no_client_makes_series(configured: Configured) -> None:
    outpost, _ = configured("")
    with httpx.Client(verify=NO_TLS, timeout=10) as client:
        before = None
        for number in range(30):
            client.request(f"VERB{number}", f"{outpost.url}/path{number}/x")
            client.get(f"{outpost.url}/services/name{number}", auth=(f"hub{number}x", "guess"))
            client.get(f"{outpost.url}/metrics/{number}")
            scrape = Scrape(outpost.url)
            series = {name: set(scrape.series(name)) for name in scrape.names if name.startswith("outpost_re")}
            if number > 1:
                assert series == before
            before = series


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server that a test may stop."""
    postgresql.require()
    with tempfile.TemporaryDirectory() as folder, postgresql.cluster(Path(folder)) as running:
        yield running


@pytest.mark.postgresql
def test_a_database_that_is_away_is_told_of(configured: Configured, own_cluster: Cluster) -> None:
    outpost, hub = configured("", **own_cluster.create_database("metrics"))
    hub.start("a")
    eventually(lambda: Scrape(outpost.url).value("outpost_services") == 1, FRESH)
    assert Scrape(outpost.url).value("outpost_database_up") == 1
    own_cluster.stop()
    eventually(lambda: Scrape(outpost.url).series("outpost_database_up") == {frozenset(): 0}, 30)
    assert Scrape(outpost.url).series("outpost_services") == {}
    own_cluster.start()
    eventually(lambda: Scrape(outpost.url).value("outpost_services") == 1, 30)


@pytest.mark.postgresql
def test_a_database_that_hangs_is_told_of_in_the_time_prometheus_waits(
    configured: Configured, own_cluster: Cluster
) -> None:
    outpost, hub = configured("", **own_cluster.create_database("metrics"))
    hub.start("a")
    with ThreadPoolExecutor(8) as pollers, own_cluster.frozen():
        polls = [pollers.submit(hub.poll, "a") for _ in range(8)]
        eventually(lambda: Scrape(outpost.url, 10).series("outpost_database_up") == {frozenset(): 0}, 30)
        assert not all(poll.done() for poll in polls)
    for poll in polls:
        poll.result()
    eventually(lambda: Scrape(outpost.url).value("outpost_database_up") == 1, 30)


SLOW_HOOK = """
from pathlib import Path

async def flavors(hub):
    import asyncio
    if Path({slow!r}).exists():
        await asyncio.sleep(60)
    return {{"small": {{"max": 2}}}}

c.JupyterHubOutpost.flavors = flavors
"""


def test_a_hook_that_hangs_costs_the_flavors_names_and_nothing_else(configured: Configured, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    outpost, hub = configured(SLOW_HOOK.format(slow=str(slow)))
    hub.start("a", flavor="small")
    eventually(lambda: Scrape(outpost.url).value("outpost_services", flavor="small") == 1, FRESH)
    slow.touch()
    eventually(lambda: Scrape(outpost.url, 10).value("outpost_services", flavor="_undefined") == 1, 30)
    assert Scrape(outpost.url, 10).value("outpost_database_up") == 1


def test_a_file_that_is_not_in_force_is_told_of(configured: Configured) -> None:
    outpost, _ = configured("")
    assert Scrape(outpost.url).value("outpost_file_broken") == 0
    outpost.config.write_text("this is no Python")
    eventually(lambda: Scrape(outpost.url).value("outpost_file_broken", file="config") == 1)


def test_it_is_below_the_base_path(configured: Configured) -> None:
    outpost, _ = configured("", OUTPOST_BASE_PATH="/outpost")
    assert Scrape(f"{outpost.url}/outpost").value("outpost_database_up") == 1


@pytest.mark.postgresql
def test_replicas_agree_on_services_and_their_counts_add_up(cluster: Cluster, tmp_path: Path) -> None:
    database = cluster.create_database("replicas")
    replicas: list[OutpostProcess] = []
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            key = {"OUTPOST_CRYPT_KEY": replicas[0].env["OUTPOST_CRYPT_KEY"]} if replicas else {}
            patient = config("c.Spawner.start_timeout = 60")
            replicas.append(OutpostProcess(tmp_path / name, patient, database | key).start())
        for number in range(4):
            with replicas[number % 2].hub() as hub:
                hub.start(f"s{number}")

        def agree() -> bool:
            return all(Scrape(replica.url).value("outpost_services", status="running") == 4 for replica in replicas)

        eventually(agree, FRESH)
        assert [Scrape(replica.url).value("outpost_starts_total") for replica in replicas] == [2, 2]
        with replicas[0].hub() as hub:
            for number in range(4):
                hub.stop(f"s{number}")
    finally:
        for replica in replicas:
            replica.close()
