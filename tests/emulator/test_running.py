"""Everything that a template deploys is there, and can be called as on AWS."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from local.emulator.account import KEYS
from local.state import State
from tests.emulator.conftest import Start
from tests.emulator.test_mistakes import change
from tests.support.emulator import Emulator
from tests.support.outpost import ROOT
from tests.support.postgresql import Cluster
from tests.support.waiting import eventually


@pytest.fixture
def running(app: Path, emulator: Start) -> Emulator:
    """The application, running."""
    return emulator(app).start()


def client(emulator: Emulator, service: str) -> Any:
    """A client of that service in the emulator."""
    keys = {name.lower(): value for name, value in KEYS.items()}
    return boto3.client(service, endpoint_url=emulator.facts["aws"], region_name="eu-central-1", **keys)


def test_a_function_answers_at_its_url_its_api_and_lambdas_own(running: Emulator) -> None:
    for url in (running.facts["function_urls"]["Greeter"], *running.facts["http_apis"].values()):
        assert httpx.get(url).json()["greeting"] == "Hello"
    assert running.invoke("Greeter")["greeting"] == "Hello"


def test_an_event_that_nobody_waits_for_is_handled(running: Emulator) -> None:
    assert running.call("Ticker", {"n": 1}, kind="Event").status_code == 202
    (invoked,) = eventually(lambda: running.invocations("Ticker"), what="it is handled")
    assert (invoked["source"], invoked["status"]) == ("async", "success")


def test_a_function_that_is_switched_off_is_throttled_and_the_others_work(app: Path, emulator: Start) -> None:
    """As on Lambda: ``ReservedConcurrentExecutions: 0`` is no mistake."""
    change(app, "Handler: app.greet\n", "Handler: app.greet\n      ReservedConcurrentExecutions: 0\n")
    running = emulator(app).start()
    assert running.call("Greeter").status_code == 429
    assert httpx.get(running.facts["function_urls"]["Greeter"]).status_code == 429
    assert running.invoke("Ticker", {"n": 1}) == {"n": 1}


def test_a_migration_that_is_switched_off_is_told_and_the_rest_is_deployed(app: Path, emulator: Start) -> None:
    off = "  MigrateFunction:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: app.tick\n"
    change(app, "  Worker:\n", f"{off}      ReservedConcurrentExecutions: 0\n\n  Worker:\n")
    running = emulator(app).start()
    (error,) = running.events("error")
    assert re.search(r"template.yaml:\d+: MigrateFunction has ReservedConcurrentExecutions: 0", error["text"])
    assert running.call("MigrateFunction").status_code == 429
    assert running.invoke("Greeter")["greeting"] == "Hello"


def test_messages_of_a_queue_are_handled_and_end_as_dead_letters_when_they_fail(running: Emulator) -> None:
    sqs = client(running, "sqs")
    jobs, dead = (sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in _queues(sqs))
    for body in ("work", "fail"):
        sqs.send_message(QueueUrl=jobs, MessageBody=body)
    received = eventually(lambda: sqs.receive_message(QueueUrl=dead).get("Messages"), 30, "a dead letter")
    assert [message["Body"] for message in received] == ["fail"]
    assert running.invocations("Worker")[0]["source"] == "sqs"


def _queues(sqs: Any) -> list[str]:
    urls = [url.rpartition("/")[2] for url in sqs.list_queues()["QueueUrls"]]
    return sorted(urls, key=lambda name: "Dead" in name)


def test_a_tick_is_answered_by_the_function_whose_schedule_it_is(running: Emulator) -> None:
    ended = running.tick("Ticker")
    assert ended.returncode == 0, ended
    event = json.loads(ended.stdout)
    assert (event["source"], event["detail-type"]) == ("aws.events", "Scheduled Event")
    assert "Daily" in event["resources"][0]


def test_parameters_and_variables_reach_the_functions(app: Path, emulator: Start) -> None:
    """A function's own variable wins over one for all, and that over a parameter."""
    file = app.with_name("variables.json")
    running = emulator(app, "--parameter", "Greeting=Hi", "--env-vars", str(file))
    for variables, greeting in (
        ({}, "Hi"),
        ({"Parameters": {"GREETING": "Hey"}}, "Hey"),
        ({"Parameters": {"GREETING": "Hey"}, "Greeter": {"GREETING": 7}}, "7"),
    ):
        file.write_text(json.dumps(variables))
        assert running.start().invoke("Greeter")["greeting"] == greeting
        assert running.stop() == 0


def test_secrets_of_a_file_are_there_by_their_names_and_outposts_own_keeps_what_is_made_here(
    tmp_path: Path, emulator: Start
) -> None:
    secrets = {"hubs": {"usernames": "other", "passwords": "x"}, "outpost": {"A": "B"}, "ssm:/a/b": "text"}
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps(secrets))
    names = "OutpostSecrets=outpost;hubs;SOMETHING=ssm:/a/b"
    running = emulator(ROOT / "template.yaml", "--secrets", str(file), "--parameter", names).start()
    (url,) = running.facts["function_urls"].values()
    assert httpx.get(f"{url}/services", auth=("other", "x")).json() == []
    own = json.loads(client(running, "secretsmanager").get_secret_value(SecretId="outpost")["SecretString"])
    assert own["A"] == "B"
    assert own["passwords"] == State(running.state).secrets.outpost_password
    given = client(running, "ssm").get_parameter(Name="/a/b", WithDecryption=True)
    assert given["Parameter"]["Value"] == "text"


def test_parameters_of_ssm_and_objects_of_s3_are_kept(running: Emulator) -> None:
    ssm, s3 = client(running, "ssm"), client(running, "s3")
    ssm.put_parameter(Name="/a/b", Value="c", Type="SecureString")
    assert ssm.get_parameter(Name="/a/b", WithDecryption=True)["Parameter"]["Value"] == "c"
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="bucket", Key="key", Body=b"text")
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"text"


def test_nobodys_own_configuration_of_aws_is_used(
    tmp_path: Path, app: Path, emulator: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[default]\nendpoint_url = http://127.0.0.1:1\nthis is no configuration")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert emulator(app).start().invoke("Greeter")["greeting"] == "Hello"


@pytest.mark.postgresql
def test_parameters_choose_a_postgresql_server(emulator: Start, cluster: Cluster) -> None:
    env = cluster.create_database("emulator")
    names = {"SqlHost": "SQL_HOST", "SqlPort": "SQL_PORT", "SqlDatabase": "SQL_DATABASE", "SqlUser": "SQL_USER"}
    parameters = [f"{name}={env[variable]}" for name, variable in names.items()] + ["SqlSslMode=disable"]
    options = [part for parameter in parameters for part in ("--parameter", parameter)]
    running = emulator(ROOT / "template.yaml", *options).start()
    assert running.invoke("MigrateFunction", {"dry_run": True}) == {"schema": "current"}
    assert not list(running.state.glob("*outpost.sqlite*"))


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
def test_a_cold_function_has_a_new_process_for_every_event(app: Path, emulator: Start, cold: bool) -> None:
    running = emulator(app, *(["--cold"] if cold else [])).start()
    pids = {running.invoke("Greeter")["pid"] for _ in range(3)}
    assert len(pids) == (3 if cold else 1)
