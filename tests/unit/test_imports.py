"""Who only lists or pings does not pay for what he does not use."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from functools import partial
from pathlib import Path

import pytest

from tests.support.aws_events import Sent, function_url
from tests.support.outpost import HUBS, ROOT, OutpostProcess

EXPENSIVE = {"jupyterhub", "kubespawner", "alembic", "boto3", "botocore", "outpostspawner"}


def imported_by(*modules: str) -> set[str]:
    """The top-level packages that a new interpreter has after importing these."""
    script = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_the_api_starts_without_spawners_migrations_and_clouds() -> None:
    assert not imported_by("handlers.api", "infra.wiring") & EXPENSIVE


def test_flavors_and_quotas_need_no_database() -> None:
    assert not imported_by("core.flavors", "core.quota") & (EXPENSIVE | {"sqlalchemy", "fastapi"})


@pytest.mark.parametrize("module", ["core.recover", "core.expiry", "core.notify"])
def test_scheduled_work_needs_no_spawner(module: str) -> None:
    assert not imported_by(module) & (EXPENSIVE | {"sqlalchemy", "fastapi"})


WEB = {"fastapi", "starlette", "mangum"}

NEEDLESS = {"sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "tornado.httpclient", "yaml", "psutil", "uvicorn"}
"""What a function on SQLite without rule files does not need until it drives a Spawner or calls a hub."""

MOST_FOR_HTTP = 700
MOST_BESIDE = 530
"""All modules of a function's process, Python's own too. A dependency or import that costs shows here."""


def imported_by_calling(folder: Path, handler: str, event: object, **env: str) -> tuple[str, set[str]]:
    """What a function instance answers to its first event, and which modules it has imported until then."""
    outpost = OutpostProcess(folder)
    outpost.env |= {"AWS_LAMBDA_FUNCTION_NAME": handler, "_HANDLER": f"handlers.aws.{handler}", **env}
    outpost.env |= {"OUTPOST_QUEUE_URL": "http://127.0.0.1:1/1/worker", "AWS_DEFAULT_REGION": "eu-central-1"}
    run = partial(subprocess.run, env=outpost.env, cwd=ROOT, capture_output=True, text=True, check=True)
    run([sys.executable, "-m", "handlers.server", "migrate"])
    script = f"""
import json, sys
from handlers import aws
answer = aws.{handler}({event!r}, None)
print(json.dumps([answer, sorted(sys.modules)]))
"""
    answer, modules = json.loads(run([sys.executable, "-c", script]).stdout.splitlines()[-1])
    return json.dumps(answer), set(modules)


def packages(modules: set[str]) -> set[str]:
    """Their top-level packages."""
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    ("handler", "event", "answer"),
    [
        ("worker", {"Records": []}, {"batchItemFailures": []}),
        ("expire", {}, {"services": 0, "dry_run": False}),
        ("recover", {}, {"services": 0, "dry_run": False}),
        ("tunnels", {"generation": "2"}, {"services": 0, "dry_run": False}),
        ("migrate", {"dry_run": True}, {"schema": "current"}),
    ],
)
def test_a_function_beside_the_api_pays_for_no_web_framework_spawner_or_cloud(
    tmp_path: Path, handler: str, event: object, answer: object
) -> None:
    said, modules = imported_by_calling(tmp_path, handler, event)
    assert json.loads(said) == answer
    assert not packages(modules) & (EXPENSIVE | WEB)
    assert not modules & NEEDLESS
    assert len(modules) <= MOST_BESIDE


@pytest.mark.parametrize("path", ["/ping", "/services", "/flavors"])
def test_the_api_as_a_function_answers_without_spawners_migrations_and_clouds(tmp_path: Path, path: str) -> None:
    login = b64encode(f"hub1:{HUBS['hub1']}".encode()).decode()
    event = function_url(Sent("GET", path, headers=(("authorization", f"Basic {login}"),)))
    said, modules = imported_by_calling(tmp_path, "api", event)
    assert json.loads(said)["statusCode"] == 200
    assert not packages(modules) & EXPENSIVE
    assert not modules & NEEDLESS
    assert len(modules) <= MOST_FOR_HTTP


@pytest.mark.parametrize("function", ["worker", "expire"])
def test_a_function_of_google_cloud_beside_the_api_pays_for_no_api_spawner_or_cloud(
    tmp_path: Path, function: str
) -> None:
    outpost = OutpostProcess(tmp_path)
    queue = {"QUEUE": "projects/p/locations/l/queues/q", "URL": "https://worker.example", "SERVICE_ACCOUNT": "a@b"}
    outpost.env |= {f"OUTPOST_TASKS_{name}": value for name, value in queue.items()} | {"FUNCTION_TARGET": function}
    script = "import sys; from handlers import gcp; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=outpost.env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    modules = set(ended.stdout.split())
    assert not packages(modules) & (EXPENSIVE | {"fastapi", "mangum", "grpc"})
    assert not modules & {"google.cloud.tasks_v2", "google.api_core", "google.auth"}
