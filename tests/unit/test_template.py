"""What template.yaml promises about the functions, as far as reading it can tell."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import lambda_layer

ROOT = Path(__file__).parents[2]
MAY = {
    "ApiFunction": {"ReadsConfiguration", "DrivesSpawners", "WakesWorkers"},
    "WorkerFunction": {"ReadsConfiguration", "DrivesSpawners", "WakesWorkers", "ReadsTheQueue"},
    "ExpireFunction": {"ReadsConfiguration", "WakesWorkers"},
    "RecoverFunction": {"ReadsConfiguration", "DrivesSpawners", "WakesWorkers"},
    "TunnelsFunction": {"ReadsConfiguration"},
    "MigrateFunction": {"ReadsConfiguration"},
}


class _Loader(yaml.SafeLoader):
    """Reads ``!Ref X`` as ``X``, and all other functions of CloudFormation as what they are given."""


def _plain(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


_Loader.add_multi_constructor("!", _plain)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template, without its intrinsic functions."""
    loaded: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)
    return loaded


@pytest.fixture(scope="module")
def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of each function."""
    kind = "AWS::Serverless::Function"
    return {name: item["Properties"] for name, item in template["Resources"].items() if item["Type"] == kind}


def test_every_entry_point_is_a_function_and_every_function_has_one(functions: dict[str, dict[str, Any]]) -> None:
    module = ast.parse((ROOT / "handlers/aws.py").read_text())  # not imported: it makes an event loop for itself
    entries = {part.name for part in module.body if isinstance(part, ast.FunctionDef) and part.name[0] != "_"}
    assert {function["Handler"] for function in functions.values()} == {f"handlers.aws.{name}" for name in entries}


def test_the_layer_is_compiled_for_the_python_that_runs(template: dict[str, Any]) -> None:
    runtime = f"python{lambda_layer.PYTHON[0]}.{lambda_layer.PYTHON[1]}"
    assert template["Globals"]["Function"]["Runtime"] == runtime
    layers = [item["Properties"] for item in template["Resources"].values() if item["Type"].endswith("LayerVersion")]
    assert [layer["CompatibleRuntimes"] for layer in layers] == [[runtime], [runtime]]


def test_a_message_is_not_handed_out_again_while_a_worker_may_be_at_it(
    template: dict[str, Any], functions: dict[str, dict[str, Any]]
) -> None:
    """GIVEN AWS's advice of six time-outs THEN the queue's pause is that long, and its messages outlast all tries."""
    queue = template["Resources"]["Queue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * functions["WorkerFunction"]["Timeout"]
    tries = queue["RedrivePolicy"]["maxReceiveCount"]
    assert queue["MessageRetentionPeriod"] > tries * queue["VisibilityTimeout"]


def test_a_worker_says_which_messages_failed(functions: dict[str, dict[str, Any]]) -> None:
    (events,) = functions["WorkerFunction"]["Events"].values()
    assert events["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_a_function_may_only_what_its_work_needs(
    template: dict[str, Any], functions: dict[str, dict[str, Any]]
) -> None:
    found = {name: _policies(function.get("Policies", [])) for name, function in functions.items()}
    role = template["Resources"]["WorkerRole"]["Properties"]
    own = _policies(policy for policy in role["ManagedPolicyArns"] if "service-role" not in policy)
    found["WorkerFunction"] = own | {policy["PolicyName"] for policy in role["Policies"]}
    assert found == MAY


def test_no_policy_says_anything_or_everything(template: dict[str, Any]) -> None:
    """GIVEN the policies THEN none allows a wildcard, as an action or as a resource."""
    for statement in _statements(template["Resources"]):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [action for action in actions if "*" in action], statement
        assert "*" not in str(statement.get("Resource")), statement


def _policies(policies: Any) -> set[str]:
    """Their names; one that depends on a condition is ``[condition, name, nothing]``."""
    return {policy[1] if isinstance(policy, list) else policy for policy in policies}


def _statements(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, dict):
        found = [part] if "Effect" in part else []
        return found + [statement for value in part.values() for statement in _statements(value)]
    if isinstance(part, list):
        return [statement for value in part for statement in _statements(value)]
    return []
