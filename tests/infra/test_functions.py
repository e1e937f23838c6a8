"""A function instance as AWS starts it: what dry runs leave alone, and mistakes that end the start-up."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.support.aws import Aws
from tests.support.aws_events import Sent, function_url
from tests.support.outpost import HUBS, ROOT, OutpostProcess


@pytest.fixture
def outpost(tmp_path: Path, aws: Aws) -> OutpostProcess:
    """Its environment and folder."""
    prepared = OutpostProcess(tmp_path)
    prepared.env |= aws.env | {"AWS_LAMBDA_FUNCTION_NAME": "outpost", "OUTPOST_QUEUE_URL": aws.queue()}
    return prepared


def run(outpost: OutpostProcess, *calls: str) -> subprocess.CompletedProcess[str]:
    """One instance that answers to these calls, a JSON line each."""
    script = "\n".join(["import json; from handlers import aws", *(f"print(json.dumps(aws.{call}))" for call in calls)])
    return subprocess.run([sys.executable, "-c", script], env=outpost.env, cwd=ROOT, capture_output=True, text=True)


def answers(outpost: OutpostProcess, *calls: str) -> list[object]:
    """What it answers. Lines of metrics are left out."""
    ended = run(outpost, *calls)
    assert ended.returncode == 0, ended.stderr
    return [line for line in map(json.loads, ended.stdout.splitlines()) if "_aws" not in line]


def test_a_dry_migration_compares_and_changes_nothing(outpost: OutpostProcess) -> None:
    dry, wet = "migrate({'dry_run': True}, None)", "migrate({}, None)"
    assert answers(outpost, dry, dry, wet, wet, dry) == [
        {"schema": "absent"},
        {"schema": "absent"},
        {"schema": "current"},
        {"schema": "current"},
        {"schema": "current"},
    ]


def test_a_function_gets_its_whole_configuration_from_secrets_and_files_in_aws(
    outpost: OutpostProcess, aws: Aws
) -> None:
    for name in ("usernames", "passwords", "OUTPOST_CRYPT_KEY"):
        del outpost.env[name]
    aws.secret("outpost", usernames="hub1", passwords=HUBS["hub1"], OUTPOST_CRYPT_KEY=Fernet.generate_key().decode())
    outpost.env["OUTPOST_CONFIG_FILE"] = aws.put(
        "files", "outpost_config.py", "c.JupyterHubOutpost.flavors = {'a': 3}\n"
    )
    outpost.env["OUTPOST_SECRETS"] = "outpost"
    assert answers(outpost, "migrate({}, None)", "worker({'Records': []}, None)") == [
        {"schema": "current"},
        {"batchItemFailures": []},
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OUTPOST_SECRETS", "nothing", "OUTPOST_SECRETS: 'nothing' cannot be read: ResourceNotFoundException"),
        ("OUTPOST_CONFIG_FILE", "s3://nothing/x", "OUTPOST_CONFIG_FILE: s3://nothing/x cannot be read: NoSuchBucket"),
        ("OUTPOST_EKS_CLUSTER", "nothing", "OUTPOST_EKS_CLUSTER: 'nothing' cannot be described: "),
        (
            "OUTPOST_QUEUE_URL",
            "",
            "OUTPOST_QUEUE_URL: not set, but functions hand work on through the worker's SQS queue",
        ),
    ],
)
def test_a_mistake_ends_the_start_up_with_its_name(outpost: OutpostProcess, name: str, value: str, said: str) -> None:
    outpost.env[name] = value
    ended = run(outpost)
    assert ended.returncode != 0
    assert said in ended.stderr.splitlines()[-1]


def test_a_wrong_event_fails_the_invocation_with_one_line(outpost: OutpostProcess) -> None:
    ended = run(outpost, "migrate({}, None)", "expire({'password': 'somebodys secret'}, None)")
    assert ended.stderr.splitlines()[-1].endswith("not an event with the keys password")
    assert "somebodys secret" not in ended.stderr.splitlines()[-1]


def test_a_metric_line_of_each_request_names_no_user(outpost: OutpostProcess) -> None:
    login = b64encode(f"hub1:{HUBS['hub1']}".encode()).decode()
    headers = (("authorization", f"Basic {login}"), ("auth-state-token", "somebodys secret"))
    poll = function_url(Sent("GET", "/services/somebodys%2Fserver/0", headers=headers))
    ended = run(outpost, "migrate({}, None)", f"api({poll!r}, None)")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    (metrics,) = [line for line in lines if "_aws" in line]
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["call", "outcome"]]
    assert (metrics["call"], metrics["outcome"], metrics["requests"]) == ("poll", "4xx", 1)
    for name in ("somebody", "hub1"):
        assert name not in json.dumps(metrics)
    assert "somebodys secret" not in ended.stderr
