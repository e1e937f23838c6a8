"""What one apply makes of the description."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

import pytest

from core.threads import STORE_THREADS
from infra.dispatch_cloudtasks import WORKER_SECONDS
from infra.settings import Settings, read_settings
from local import google_source
from tests.terraform.cloud import NUMBER, PROJECT, REGION, ROOT, Terraform
from tests.terraform.conftest import CLUSTER, OPERATOR
from tests.terraform.state import Deployed

HANDLERS = ROOT / "handlers/gcp.py"
SCHEDULED = ["expire", "recover", "tunnels"]
RESERVED = 3
"""PostgreSQL's ``superuser_reserved_connections``."""

NO_SETTINGS = {"OUTPOST_SECRETS", "LOG_EXECUTION_ID"}
"""Read before there are settings, and by the framework."""


def entry_points() -> set[str]:
    """What handlers/gcp.py offers to functions-framework."""
    tree = ast.parse(HANDLERS.read_text())
    defined = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in defined if "aio.http" in map(ast.unparse, node.decorator_list)}


def test_every_function_of_the_handlers_is_deployed(deployed: Deployed) -> None:
    assert set(deployed.functions()) == entry_points()
    assert set(ast.literal_eval(google_source.MAIN.rpartition("=")[2].strip())) == entry_points()


@pytest.mark.parametrize("function", ["api", "worker", "expire", "recover", "tunnels", "migrate"])
def test_a_functions_variables_are_settings_that_outpost_takes(
    function: str, deployed: Deployed, all_said: Deployed, secret: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {field.validation_alias for field in Settings.model_fields.values()} | NO_SETTINGS
    for made in (deployed, all_said):
        environment = made.environment(function)
        assert set(environment) <= known
        with monkeypatch.context() as patched:
            for name, value in (environment | secret).items():
                patched.setenv(name, value)
            settings = read_settings()
        assert settings.sql_host == "10.2.0.3"
        assert settings.base_path == ("/outpost" if made is all_said else "")
        assert environment["LOG_EXECUTION_ID"] == "false", "else the framework disables loggers"
        assert all(environment.values()), "an empty one would be a difference at each plan"


def test_only_files_that_there_are_become_configuration(deployed: Deployed) -> None:
    assert set(deployed.all("google_storage_bucket_object")) == {"outpost_config.py", "flavors.yaml", "source"}
    bucket = deployed.output("config_bucket")
    environment = deployed.environment("api")
    assert environment["OUTPOST_CONFIG_FILE"] == f"{bucket}/outpost_config.py"
    assert environment["OUTPOST_FLAVORS_PATH"] == f"{bucket}/flavors.yaml"
    assert "OUTPOST_CREDITS_PATH" not in environment


def test_no_secret_is_in_plan_or_state(
    terraform: Callable[..., Terraform], variables: dict[str, Any], deployed: Deployed, secret: dict[str, str]
) -> None:
    plan = terraform().plan(variables)
    for text in (json.dumps(plan), json.dumps(deployed.state)):
        assert not [name for name, value in secret.items() if name != "usernames" and value in text]
    (user,) = (change for change in plan["resource_changes"] if change["type"] == "google_sql_user")
    assert user["change"]["after"]["password_wo_version"] == 1


@pytest.mark.parametrize("function", SCHEDULED)
def test_a_schedule_calls_its_function_as_somebody_who_may(function: str, deployed: Deployed) -> None:
    job = deployed.all("google_cloud_scheduler_job")[function]
    (target,) = job["http_target"]
    (token,) = target["oidc_token"]
    assert target["uri"] == token["audience"] == f"https://outpost-{function}-{NUMBER}.{REGION}.run.app"
    assert json.loads(_decoded(target["body"])) == {}
    assert (_account(token["service_account_email"]), "run.invoker", f"cloud_run_v2_service outpost-{function}") in set(
        deployed.roles()
    )


def test_a_schedule_waits_as_long_as_its_function_may_take_and_tries_once(deployed: Deployed) -> None:
    for function, job in deployed.all("google_cloud_scheduler_job").items():
        assert job["attempt_deadline"] == f"{deployed.functions()[function]['timeout_seconds']}s"
        assert job["retry_config"][0]["retry_count"] == 0


def test_an_empty_schedule_is_none(terraform: Callable[..., Terraform], variables: dict[str, Any]) -> None:
    made = Deployed(terraform().apply(variables | {"tunnels_schedule": ""}))
    assert set(made.all("google_cloud_scheduler_job")) == {"expire", "recover"}


def test_tasks_go_to_the_worker_as_somebody_who_may_call_it(deployed: Deployed) -> None:
    for function in deployed.functions():
        environment = deployed.environment(function)
        assert environment["OUTPOST_DISPATCHER"] == "cloudtasks"
        assert environment["OUTPOST_TASKS_QUEUE"] == f"projects/{PROJECT}/locations/{REGION}/queues/outpost-worker"
        caller = _account(environment["OUTPOST_TASKS_SERVICE_ACCOUNT"])
        assert (caller, "run.invoker", "cloud_run_v2_service outpost-worker") in set(deployed.roles())
    assert deployed.environment("worker")["OUTPOST_TASKS_URL"] == f"https://outpost-worker-{NUMBER}.{REGION}.run.app"


def test_the_queue_sends_no_more_than_the_workers_take(deployed: Deployed) -> None:
    worker = deployed.functions()["worker"]
    (limits,) = deployed.one("google_cloud_tasks_queue")["rate_limits"]
    taken = worker["max_instance_count"] * worker["max_instance_request_concurrency"]
    assert limits["max_concurrent_dispatches"] == taken


def test_a_task_waits_as_long_as_the_worker_may_take(deployed: Deployed) -> None:
    assert deployed.functions()["worker"]["timeout_seconds"] == WORKER_SECONDS


def opened(made: Deployed) -> int:
    """The connections of all instances at once."""
    per_instance = STORE_THREADS + 1  # and one for what takes long
    return sum(function["max_instance_count"] * per_instance for function in made.functions().values())


def taken(made: Deployed) -> int:
    """The most that the database is told to take."""
    (flag,) = made.one("google_sql_database_instance")["settings"][0]["database_flags"]
    assert flag["name"] == "max_connections"
    return int(flag["value"])


def test_the_database_takes_the_connections_of_all_instances_while_an_upgrade_has_two_of_each(
    deployed: Deployed,
) -> None:
    assert taken(deployed) >= 2 * opened(deployed) + RESERVED


def test_more_instances_than_the_database_has_connections_for_are_refused_with_how_many_it_takes(
    terraform: Callable[..., Terraform], variables: dict[str, Any], deployed: Deployed
) -> None:
    needed = 2 * opened(deployed) + RESERVED
    assert f"the defaults need {needed}." in (ROOT / "docs/google-cloud.md").read_text()
    said = variables | {"database_connections": needed - 1}
    planned = terraform().run("plan", "-input=false", "-no-color", "-lock=false", variables=said)
    assert planned.returncode == 1
    assert f"database_connections: must be {needed} or more" in " ".join(planned.stderr.split())
    more = Deployed(terraform().apply(variables | {"api_max_instances": 20, "database_connections": needed + 100}))
    assert taken(more) == 2 * opened(more) + RESERVED


def test_only_the_api_is_open_to_all(deployed: Deployed, all_said: Deployed) -> None:
    for made in (deployed, all_said):
        assert [on for who, _, on in made.roles() if who in ("allUsers", "allAuthenticatedUsers")] == [
            "cloud_run_v2_service outpost-api"
        ]
    assert inside(deployed) == {"worker", *SCHEDULED}


def inside(made: Deployed) -> set[str]:
    """The functions that nobody outside of Google reaches."""
    return {name for name, said in made.functions().items() if said["ingress_settings"] == "ALLOW_INTERNAL_ONLY"}


def test_operators_may_call_what_takes_their_options_where_the_outputs_say(
    deployed: Deployed, all_said: Deployed
) -> None:
    called = {on.rpartition("-")[2] for who, role, on in all_said.roles() if (who, role) == (OPERATOR, "run.invoker")}
    assert called == {"migrate", *SCHEDULED}
    assert inside(all_said) == {"worker"}
    for name in called:
        assert all_said.output(f"{name}_url") == f"https://outpost-{name}-{NUMBER}.{REGION}.run.app"
    assert not [who for who, _, _ in deployed.roles() if who == OPERATOR]
    assert not [who for who, _, on in deployed.roles() if on == "cloud_run_v2_service outpost-migrate"]


def test_a_clusters_name_and_rights_go_to_those_who_drive_spawners(deployed: Deployed, all_said: Deployed) -> None:
    drivers = {
        function for function in all_said.functions() if all_said.environment(function).get("OUTPOST_GKE_CLUSTER")
    }
    assert drivers == {"api", "worker", "recover"}
    assert all_said.environment("worker")["OUTPOST_GKE_CLUSTER"] == CLUSTER
    assert {who for who, role, _ in all_said.roles() if role == "container.clusterViewer"} == drivers
    assert {email.partition("@")[0] for email in all_said.output("kubernetes_users")} == {
        f"outpost-{n}" for n in drivers
    }
    assert not [who for who, role, _ in deployed.roles() if role == "container.clusterViewer"]


def test_functions_are_deployed_when_what_they_need_at_their_start_is_there(all_said: Deployed) -> None:
    """A deployment starts an instance, and fails when that ends."""
    needed = {
        "google_secret_manager_secret_iam_member.reads_secret",
        "google_storage_bucket_iam_member.reads_config",
        "google_storage_bucket_object.config",
        "google_project_iam_member.drives",
        "google_project_service.needed",
    }
    for made_after in all_said.dependencies("google_cloudfunctions2_function"):
        assert needed <= made_after


def test_the_clusters_api_is_enabled_where_there_is_a_cluster(deployed: Deployed, all_said: Deployed) -> None:
    enabled = [set(made.all("google_project_service")) for made in (deployed, all_said)]
    assert enabled[1] - enabled[0] == {"container"}


def test_the_database_has_no_public_address_and_only_takes_encrypted_connections(deployed: Deployed) -> None:
    database = deployed.one("google_sql_database_instance")
    (address,) = database["settings"][0]["ip_configuration"]
    assert (address["ipv4_enabled"], address["ssl_mode"]) == (False, "ENCRYPTED_ONLY")
    assert database["deletion_protection"] is True


def test_the_longest_name_leaves_room_for_what_is_appended(
    terraform: Callable[..., Terraform], variables: dict[str, Any]
) -> None:
    made = Deployed(terraform().apply(variables | {"name": "outpost-of-the-hub-1", "project": "a" * 30}))
    accounts = made.all("google_service_account")
    assert max(len(account["account_id"]) for account in accounts.values()) == 30
    assert max(len(bucket["name"]) for bucket in made.all("google_storage_bucket").values()) < 64


def test_what_was_made_is_left_alone_by_the_next_apply(
    terraform: Callable[..., Terraform], variables: dict[str, Any]
) -> None:
    made = terraform()
    made.apply(variables)
    again = made.run(
        *("plan", "-input=false", "-no-color", "-lock=false", "-detailed-exitcode", f"-state={made.home / 'state'}"),
        variables=variables,
    )
    assert again.returncode == 0, again.stdout


def _account(email: str) -> str:
    return email.removeprefix("outpost-").partition("@")[0]


def _decoded(body: str) -> str:
    import base64

    return base64.b64decode(body).decode()
