"""Start, list, poll and stop, as CONTRACT promises them to hubs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import psutil
import pytest

from tests.support.outpost import HubCalls, OutpostProcess, servers_in
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

NAMES = [
    "",
    "a",
    "with space",
    "a/b",
    "/",
    "//",
    "100%",
    "%2F",
    "a%20b",
    "ünïcode-名前-🚀",
    "x" * 255,
    "?a=b#c",
    "..",
    ".",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_started_polled_listed_and_stopped(hub: HubCalls, name: str) -> None:
    assert hub.start(name, user_options={"start_id": "id/1"}).status_code == 200
    assert [(s["name"], s["start_id"]) for s in hub.services()] == [(name, "id/1")]
    assert hub.poll(name, "id/1").json() == {"status": None, "logs": []}
    assert hub.stop(name, "id/1").status_code == 200
    assert hub.poll(name, "id/1").status_code == 404
    assert hub.services() == []


def test_the_answer_of_a_start_says_where_the_server_runs(hub: HubCalls, outpost: OutpostProcess) -> None:
    answer = hub.start("a")
    assert answer.status_code == 200
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", answer.json()["service"])
    assert len(servers_in(outpost.folder)) == 1


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("http://host:8888/path", "http://host:8888"),
        ("https://host:8888", "https://host:8888"),
        ("host:8888", "host:8888"),
        (["10.0.0.1", 80], "http://10.0.0.1:80"),
        (["::1", 80], "http://[::1]:80"),
        ("", ""),
    ],
)
def test_whatever_a_spawner_returns_the_hub_gets_an_address(hub: HubCalls, returned: object, told: str) -> None:
    assert hub.start("a", user_options={"returns": returned}).json() == {"service": told}


def test_an_asynchronous_start_answers_at_once(hub: HubCalls, outpost: OutpostProcess) -> None:
    answer = hub.start("a", asynchronous=True, user_options={"slow": 1})
    assert (answer.status_code, answer.json()) == (202, {"service": ""})
    (listed,) = hub.services()
    assert listed["start_pending"] is True
    assert hub.poll("a").json()["status"] is None
    eventually(lambda: hub.services()[0]["status"] == "running")
    assert len(servers_in(outpost.folder)) == 1


def test_a_missing_start_id_is_0(hub: HubCalls) -> None:
    hub.start("a")
    assert hub.services()[0]["start_id"] == "0"
    for path in ("/services/a", "/services/a/", "/services/a/0", "/services/a/0/"):
        assert hub.http.get(path).status_code == 200, path
    assert hub.http.delete("/services/a").json() == {"logs": []}


def test_the_default_server_is_served_under_the_empty_name(hub: HubCalls) -> None:
    hub.start("", user_options={"start_id": "f00"})
    assert hub.http.get("/services//f00").json()["status"] is None
    assert hub.http.get("/services//f00/").json()["status"] is None
    assert hub.http.delete("/services//f00").status_code == 200


def test_a_list_item_holds_what_hubs_read(hub: HubCalls) -> None:
    before = datetime.now().astimezone()
    hub.start("a", env={"JUPYTERHUB_USER_ID": 42}, user_options={"start_id": 7, "flavor": "big"})
    (item,) = hub.services()
    assert item["name"] == "a"
    assert item["start_id"] == "7"
    assert item["jupyterhub"] == "hub1"
    assert item["jupyterhub_userid"] == "42"
    assert item["end_date"] == "9999-12-31T23:59:59.999999+00:00"
    assert before <= datetime.fromisoformat(item["start_date"]) <= datetime.fromisoformat(item["last_update"])
    assert (item["state_stored"], item["start_pending"], item["stop_pending"]) == (True, False, False)
    assert (item["flavor"], item["status"]) == ("big", "running")


def test_a_client_cannot_set_what_is_outposts_own(hub: HubCalls) -> None:
    own: dict[str, Any] = {
        "status": "stopping",
        "end_date": "2000-01-01",
        "start_date": "2000-01-01",
        "jupyterhub": "hub2",
    }
    misc = {"name": "b", "start_id": "9", "jupyterhub_name": "hub2", "user": "root", "orm_spawner": {}}
    assert hub.start("a", misc=misc, **own).status_code == 200
    (item,) = hub.services()
    assert (item["name"], item["start_id"], item["jupyterhub"], item["status"]) == ("a", "0", "hub1", "running")
    assert item["end_date"].startswith("9999")


def test_the_flavor_of_the_body_goes_before_that_of_the_user_options(hub: HubCalls) -> None:
    hub.start("a", flavor="first", user_options={"flavor": "second"})
    assert hub.services()[0]["flavor"] == "first"


def test_two_hubs_may_use_one_name_and_never_see_each_other(hub: HubCalls, other_hub: HubCalls) -> None:
    assert hub.start("a").status_code == other_hub.start("a").status_code == 200
    assert [s["jupyterhub"] for s in hub.services()] == ["hub1"]
    assert [s["jupyterhub"] for s in other_hub.services()] == ["hub2"]
    assert hub.stop("a").status_code == 200
    assert hub.stop("a").status_code == 404
    assert other_hub.poll("a").json()["status"] is None


def test_what_does_not_exist_is_404_for_poll_and_stop(hub: HubCalls) -> None:
    for answer in (hub.poll("no", "1"), hub.stop("no", "1"), hub.stop("no", "1", asynchronous=True), hub.poll("\0")):
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Item not found"}


def test_an_identity_that_exists_cannot_be_started_again(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a")
    again = hub.start("a")
    assert again.status_code == 419
    assert again.json()["class"] == "ServiceExists"
    assert again.json()["args"] == ["The server 'a' (0) is already running"]
    assert len(hub.services()) == len(servers_in(outpost.folder)) == 1


def test_an_identity_whose_server_has_ended_is_replaced(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a")
    (server,) = servers_in(outpost.folder)
    server.kill()
    eventually(lambda: servers_in(outpost.folder) == [])
    assert hub.start("a").status_code == 200
    assert len(hub.services()) == len(servers_in(outpost.folder)) == 1
    assert hub.poll("a").json()["status"] is None


def test_poll_tells_the_exit_code_again_and_again_with_logs(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a", user_options={"exit": 3})
    answer = hub.poll_until_ended("a")
    assert answer["status"] in outpost.exit_codes(3)
    assert answer["logs"] == ["the lion roars", "the lion sleeps"]
    assert [hub.poll("a").json()["status"] for _ in range(3)] == [answer["status"]] * 3


def test_a_server_that_was_killed_is_told_by_its_signal(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a")
    servers_in(outpost.folder)[0].kill()
    answer = hub.poll_until_ended("a")
    assert answer["status"] in outpost.exit_codes(-9)


def test_logs_are_collected_on_request(hub: HubCalls) -> None:
    hub.start("a")
    answer = hub.poll("a", collect_logs="true").json()
    assert answer == {"status": None, "logs": ["the lion roars", "the lion sleeps"]}
    stopped = hub.http.delete("/services/a/0", params={"collect_logs": "true"})
    assert stopped.json() == {"logs": ["the lion roars", "the lion sleeps"]}


def test_a_poll_that_fails_is_no_evidence_that_the_server_ended(hub: HubCalls) -> None:
    hub.start("a", user_options={"poll": "raises"})
    assert hub.poll("a").json() == {"status": None, "logs": []}
    hub.start("b")
    assert hub.poll("b").json()["status"] is None


@pytest.mark.parametrize("asynchronous", [False, True])
def test_stop_during_start_leaves_nothing(hub: HubCalls, outpost: OutpostProcess, asynchronous: bool) -> None:
    hub.start("a", asynchronous=True, user_options={"hang": True}, misc={"start_timeout": 60})
    eventually(lambda: servers_in(outpost.folder))
    answer = hub.stop("a", asynchronous=asynchronous)
    assert answer.status_code == (202 if asynchronous else 200)
    eventually(lambda: hub.services() == [] and servers_in(outpost.folder) == [])


def test_a_stop_that_comes_just_before_the_start_ends_leaves_nothing(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a", asynchronous=True, user_options={"slow": 0.5})
    eventually(lambda: [s["status"] for s in hub.services()] == ["starting"])
    assert hub.stop("a").status_code == 200
    assert hub.services() == []
    assert servers_in(outpost.folder) == []


def test_a_stop_that_is_asynchronous_answers_at_once_and_happens(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a")
    answer = hub.stop("a", asynchronous=True)
    assert (answer.status_code, answer.json()) == (202, {})
    eventually(lambda: hub.services() == [] and servers_in(outpost.folder) == [])


def test_a_stop_that_fails_keeps_the_service_and_is_tried_again(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a", user_options={"stop": "raises once"})
    failed = hub.stop("a")
    assert failed.status_code == 419
    assert "the tiger does not want to go yet" in failed.json()["args"][0]
    (item,) = hub.services()
    assert (item["status"], item["stop_pending"]) == ("stopping", True)
    assert hub.poll("a").json()["status"] is None
    eventually(lambda: hub.services() == [] and servers_in(outpost.folder) == [], 40)


def test_stopping_twice_is_fine_while_the_first_has_failed(hub: HubCalls) -> None:
    hub.start("a", user_options={"stop": "raises once"})
    assert hub.stop("a").status_code == 419
    assert hub.stop("a").status_code == 200
    assert hub.stop("a").status_code == 404


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failed_start_tells_the_spawners_words_and_leaves_nothing(
    hub: HubCalls, outpost: OutpostProcess, when: str
) -> None:
    answer = hub.start("a", user_options={"fail": when}, env={"JUPYTERHUB_API_TOKEN": "a-very-secret-token"})
    assert answer.status_code == 419
    told = answer.json()
    assert (told["module"], told["class"], told["kwargs"]) == ("builtins", "RuntimeError", {})
    assert told["args"][0] in ("the zoo is closed", "the gate is locked, said [hidden]")
    assert "RuntimeError" in told["traceback"]
    assert "a-very-secret-token" not in answer.text
    assert hub.services() == []
    assert servers_in(outpost.folder) == []
    assert "a-very-secret-token" not in outpost.log.read_text()


def test_a_start_that_hangs_ends_with_its_time(hub: HubCalls, outpost: OutpostProcess) -> None:
    answer = hub.start("a", user_options={"hang": True}, misc={"start_timeout": 1})
    assert answer.status_code == 419
    assert answer.json()["args"] == ["The server did not start within 1 seconds"]
    assert hub.services() == []
    assert servers_in(outpost.folder) == []


def test_a_state_that_is_no_json_fails_the_start_and_leaves_nothing(hub: HubCalls, outpost: OutpostProcess) -> None:
    answer = hub.start("a", user_options={"state": "no JSON"})
    assert answer.status_code == 419
    assert answer.json()["args"][0].startswith("The Spawner's get_state() does not return JSON: ")
    assert hub.services() == []
    assert servers_in(outpost.folder) == []


def test_a_state_of_5_megabytes_is_kept(hub: HubCalls) -> None:
    assert hub.start("a", user_options={"state": "large"}).status_code == 200
    assert hub.poll("a").json()["status"] is None
    assert hub.stop("a").status_code == 200


def test_an_asynchronous_start_that_fails_is_told_to_the_hub(hub: HubCalls, hub_stub: RecordingHub) -> None:
    hub.start("a", asynchronous=True, user_options={"fail": "after"}, env=hub_stub.env())
    eventually(lambda: any(event.get("failed") for event in hub_stub.told("/events")))
    (event,) = [event for event in hub_stub.told("/events") if event.get("failed")]
    assert event["progress"] == 100
    assert re.fullmatch(
        r"<details><summary>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}: the gate is locked, said \[hidden\]</summary>"
        r"</details>",
        event["html_message"],
    )
    eventually(lambda: hub.services() == [])


def test_progress_reaches_the_hub_in_order_without_ready_and_without_secrets(
    hub: HubCalls, hub_stub: RecordingHub
) -> None:
    hub.start("a", env=hub_stub.env())
    eventually(lambda: len(hub_stub.told("/events")) == 3)
    assert hub_stub.told("/events") == [
        {"progress": 10, "message": "the keeper wakes up"},
        {"progress": 40, "message": "the keeper has the key [hidden]"},
        {"progress": 90, "message": "the gate opens"},
    ]
    assert {call.token for call in hub_stub.calls if call.path == "/events"} == {"token the-api-token"}


@pytest.mark.parametrize("status", [0, 403, 500])
def test_a_hub_that_takes_no_events_does_not_harm_a_start(hub: HubCalls, hub_stub: RecordingHub, status: int) -> None:
    hub_stub.status = status
    assert hub.start("a", env=hub_stub.env(), user_options={"progress": "raises"}).status_code == 200
    assert hub.poll("a").json()["status"] is None


def test_misc_goes_before_the_configuration_and_dicts_are_merged(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a", misc={"motto": "from the hub", "badges": {"hub": "too"}})
    (server,) = servers_in(outpost.folder)
    assert server.environ()["ZOO_MOTTO"] == "from the hub"
    assert server.environ()["ZOO_BADGES"] == "file=yes,hub=too"


def test_misc_that_the_spawner_does_not_know_is_left_aside(hub: HubCalls) -> None:
    default_misc = {
        "dns_name_template": "{name}.svc",
        "pod_name_template": "jupyter-{username}",
        "internal_ssl": False,
        "port": 0,
        "ip": "127.0.0.1",
        "services_enabled": True,
        "extra_labels": {"a": "b"},
    }
    assert hub.start("a", misc=default_misc).status_code == 200


def test_a_misc_value_that_does_not_fit_is_named_and_nothing_is_left(hub: HubCalls) -> None:
    answer = hub.start("a", misc={"port": "eighty"})
    assert answer.status_code == 419
    assert "'port' trait" in answer.json()["args"][0]
    assert hub.services() == []


def test_the_servers_environment_is_the_hubs_with_this_sides_address(hub: HubCalls, outpost: OutpostProcess) -> None:
    sent = {
        "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:1/user/alice/",
        "JUPYTERHUB_SERVICE_PREFIX": "/base/user/alice/a/",
        "JUPYTERHUB_API_URL": "http://hub.example.org/hub/api",
        "JUPYTERHUB_SSL_KEYFILE": "/on/the/hub",
        "JUPYTERHUB_USER": "alice",
        "JUPYTERHUB_API_TOKEN": "token-of-alice",
        "ANY": 3,
    }
    service = hub.start("a", env=sent).json()["service"]
    env = servers_in(outpost.folder)[0].environ()
    assert env["JUPYTERHUB_SERVICE_URL"] == f"{service}/base/user/alice/a/"
    assert env["JUPYTERHUB_API_URL"] == "http://hub.example.org/hub/api"
    assert env["JUPYTERHUB_API_TOKEN"] == "token-of-alice"
    assert env["ANY"] == "3"
    assert "JUPYTERHUB_SSL_KEYFILE" not in env


def test_a_server_outlives_outpost_and_is_polled_and_stopped_afterwards(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a")
    outpost.kill()
    outpost.start()
    assert hub.poll("a").json()["status"] is None
    assert hub.stop("a").status_code == 200
    assert servers_in(outpost.folder) == []


def test_a_server_that_ended_while_outpost_was_away_has_ended(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a")
    outpost.stop()
    servers_in(outpost.folder)[0].kill()
    outpost.start()
    assert hub.poll("a").json()["status"] == 0


def test_a_pid_that_belongs_to_another_process_now_is_never_touched(hub: HubCalls, outpost: OutpostProcess) -> None:
    hub.start("a", user_options={"exit": 0})
    eventually(lambda: hub.poll("a").json()["status"] == 0)
    bystander = psutil.Process(outpost.pid)
    assert hub.stop("a").status_code == 200
    assert bystander.is_running()
