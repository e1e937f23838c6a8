"""Intrinsic functions, parameters and conditions give what CloudFormation's documentation says."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.template import Site, TemplateError, read_deployment
from local.template.conditions import Conditions
from local.template.document import Node
from local.template.intrinsics import Intrinsics
from local.template.parameters import Parameters
from local.template.resources import ParameterScope
from tests.support.templates import event, resource, resources, variable

ROOT = Path(__file__).parents[2]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="${}"), max_size=8)
DELIMITER = st.text(min_size=1, max_size=2)


def _node(value: Any) -> Node:
    if isinstance(value, dict):
        return Node({key: _node(item) for key, item in value.items()}, 1)
    return Node([_node(item) for item in value] if isinstance(value, list) else value, 1)


def _plain(node: Node | None) -> Any:
    if node is None:
        return None
    if isinstance(node.value, dict):
        return {key: _plain(item) for key, item in node.value.items()}
    return [_plain(item) for item in node.value] if isinstance(node.value, list) else node.value


def _resolved(value: Any, parameters: dict[str, Any] | None = None, site: Site | None = None) -> Any:
    """``parameters`` are strings, or lists of them."""
    declared = {
        name: {"Type": "CommaDelimitedList" if isinstance(given, list) else "String"}
        for name, given in (parameters or {}).items()
    }
    texts = {name: ",".join(item) if isinstance(item, list) else item for name, item in (parameters or {}).items()}
    scope = ParameterScope(Parameters(_node(declared), texts), None, site or Site())
    return _plain(Intrinsics(scope).deep(_node(value)))


@given(DELIMITER, st.lists(TEXT, min_size=1))
def test_what_is_joined_can_be_split_and_selected(delimiter: str, texts: list[str]) -> None:
    joined = {"Fn::Join": [delimiter, texts]}
    assert _resolved(joined) == delimiter.join(texts)
    parts = _resolved({"Fn::Split": [delimiter, joined]})
    assert parts == delimiter.join(texts).split(delimiter)
    for index, part in enumerate(parts):
        assert _resolved({"Fn::Select": [str(index), {"Fn::Split": [delimiter, joined]}]}) == part


@given(TEXT, TEXT, TEXT)
def test_sub_replaces_names_and_leaves_literals(before: str, value: str, after: str) -> None:
    """GIVEN a value in Sub's own variables, or a parameter THEN ``${It}`` is it, and ``${!It}`` is ``${It}``."""
    text = f"{before}${{It}}{after}${{!It}}"
    expected = f"{before}{value}{after}${{It}}"
    assert _resolved({"Fn::Sub": [text, {"It": {"Fn::Join": ["", [value]]}}]}) == expected
    assert _resolved({"Fn::Sub": text}, {"It": value}) == expected


@given(st.text(st.characters(codec="utf-8")))
def test_base64_can_be_decoded(text: str) -> None:
    assert base64.b64decode(_resolved({"Fn::Base64": text})).decode() == text


@given(st.lists(st.text("abc ", max_size=3), min_size=1))
def test_a_list_parameter_is_its_items_without_spaces_around(items: list[str]) -> None:
    assert _resolved({"Ref": "Items"}, {"Items": items}) == [item.strip() for item in items]


LEAVES = st.tuples(st.sampled_from([0, "0", True, "true", "a"]), st.sampled_from([0, "0", True, "true", "a"]))
EXPRESSIONS: st.SearchStrategy[Any] = st.recursive(
    LEAVES.map(lambda pair: ("equals", list(pair))),
    lambda inner: st.one_of(
        inner.map(lambda one: ("not", [one])),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_conditions_are_logic_over_strings(expression: Any) -> None:
    """GIVEN any expression THEN it holds as in Python, where scalars are compared as strings."""
    conditions = Conditions(_node({"It": _condition(expression)}), Intrinsics(_empty_scope()))
    assert conditions.holds("It", 1) is _truth(expression)


def _empty_scope() -> ParameterScope:
    return ParameterScope(Parameters(None, {}), None, Site())


def _condition(expression: Any) -> dict[str, Any]:
    kind, parts = expression
    name = {"equals": "Fn::Equals", "not": "Fn::Not", "and": "Fn::And", "or": "Fn::Or"}[kind]
    return {name: parts if kind == "equals" else [_condition(part) for part in parts]}


def _truth(expression: Any) -> bool:
    kind, parts = expression
    if kind == "equals":
        return str(parts[0]).lower() == str(parts[1]).lower()
    values = [_truth(part) for part in parts]
    return {"not": not values[0], "and": all(values), "or": any(values)}[kind]


def test_what_is_no_value_is_left_out() -> None:
    nothing = {"Ref": "AWS::NoValue"}
    assert _resolved({"a": nothing, "b": [1, nothing, {"c": nothing}]}) == {"b": [1, {}]}
    assert _resolved({"Fn::Join": ["-", ["a", nothing, "b"]]}) == "a-b"


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("eu-central-1", "aws", "amazonaws.com"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    ],
)
def test_pseudo_parameters_are_those_of_the_site(region: str, partition: str, suffix: str) -> None:
    site = Site(region=region, account="111122223333", stack_name="hub")
    text = "${AWS::Partition} ${AWS::Region} ${AWS::AccountId} ${AWS::StackName} ${AWS::URLSuffix}"
    assert _resolved({"Fn::Sub": text}, site=site) == f"{partition} {region} 111122223333 hub {suffix}"


def test_what_is_not_needed_is_not_resolved(tmp_path: Path) -> None:
    """GIVEN a branch, a role and an output that cannot be resolved here THEN the template is read all the same."""
    text = variable(
        "A1: !If [Always, a, !ImportValue elsewhere]",
        "Role: {Type: AWS::IAM::Role, Properties: {Path: !ImportValue elsewhere}}",
        "Not: {Type: AWS::DynamoDB::Table, Condition: Never}",
    )
    text += "Conditions: {Always: !Equals [a, a], Never: !Equals [a, b]}\n"
    text += "Parameters: {Unused: {Type: String}}\nOutputs: {Url: {Value: !GetAtt RunUrl.FunctionUrl}}\n"
    path = tmp_path / "template.yaml"
    path.write_text(text)
    assert read_deployment(path, {}, Site()).functions["Run"].environment == {"A1": "a"}


def test_a_ref_to_a_queue_is_the_url_below_the_endpoint(tmp_path: Path) -> None:
    """GIVEN resources named in all ways THEN functions get the names that the stand-in for AWS gives them."""
    function = resource(
        "Run",
        "AWS::Serverless::Function",
        "{Runtime: python3.11, Handler: a/b.run, Environment: {Variables: {"
        "URL: !Ref Queue, URL2: !GetAtt Queue.QueueUrl, ARN: !GetAtt [Queue, Arn], NAME: !Sub '${Queue.QueueName}',"
        "OTHER: !Ref Other, OTHER_ARN: !GetAtt Other.Arn}}}",
    )
    other = resource("Other", "AWS::Serverless::Function", "{Runtime: python3.11, Handler: a.b, FunctionName: second}")
    path = tmp_path / "template.yaml"
    path.write_text(resources(function, other))
    site = Site("http://127.0.0.1:4566/", "eu-west-1", "111122223333", "hub")
    deployment = read_deployment(path, {}, site)
    assert deployment.functions["Run"].handler == "a.b.run"
    assert deployment.functions["Run"].environment == {
        "URL": "http://127.0.0.1:4566/111122223333/hub-Queue",
        "URL2": "http://127.0.0.1:4566/111122223333/hub-Queue",
        "ARN": "arn:aws:sqs:eu-west-1:111122223333:hub-Queue",
        "NAME": "hub-Queue",
        "OTHER": "second",
        "OTHER_ARN": "arn:aws:lambda:eu-west-1:111122223333:function:second",
    }


def test_schedules_of_both_kinds_say_what_fires_them(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    arns = {}
    for kind, lines in (
        ("Schedule", ["Schedule: rate(2 hours)"]),
        ("ScheduleV2", ["ScheduleExpression: rate(2 hours)", "GroupName: mine"]),
    ):
        path.write_text(event(kind, *lines))
        (tick,) = read_deployment(path, {}, Site(stack_name="hub")).functions["Run"].schedules
        assert tick.expression == "rate(2 hours)"
        arns[kind] = tick.arn
    assert arns == {
        "Schedule": "arn:aws:events:eu-central-1:123456789012:rule/hub-RunIt",
        "ScheduleV2": "arn:aws:scheduler:eu-central-1:123456789012:schedule/mine/RunIt",
    }


def test_an_api_keeps_its_id_and_functions_that_it_does_not_call_may_know_it(tmp_path: Path) -> None:
    """GIVEN an API's id in a function's environment THEN it is that of its events, unless that is a circle."""
    api = "Api: {Type: AWS::Serverless::HttpApi}"
    path = tmp_path / "template.yaml"
    text = variable("API: !Ref Api", api)
    path.write_text(text)
    deployment = read_deployment(path, {}, Site())
    api_id = deployment.http_apis["Api"].api_id
    assert deployment.functions["Run"].environment == {"API": api_id}
    assert read_deployment(path, {}, Site()).http_apis["Api"].api_id == api_id
    events = "      Events: {It: {Type: HttpApi, Properties: {ApiId: !Ref Api}}}\n"
    path.write_text(text.replace("      Environment", events + "      Environment"))
    with pytest.raises(TemplateError, match="circular dependency: Run -> Api -> Run"):
        read_deployment(path, {}, Site())


def test_a_queue_may_be_named_after_one_that_needs_a_third(tmp_path: Path) -> None:
    """GIVEN A -> dead letters, and B named after A THEN that is no circle."""
    policy = "{RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 1}}"
    path = tmp_path / "template.yaml"
    path.write_text(
        resources(
            resource("A", "AWS::SQS::Queue", policy),
            resource("B", "AWS::SQS::Queue", "QueueName: !Sub '${A.QueueName}-more'"),
            "Dead: {Type: AWS::SQS::Queue}",
        )
    )
    queues = read_deployment(path, {}, Site()).queues
    assert (queues["A"].dead_letter_queue, queues["B"].name) == ("Dead", "outpost-A-more")


def test_what_our_template_grows_is_there_at_once(tmp_path: Path) -> None:
    """GIVEN our template WHEN a function, a queue, a schedule and a parameter are added THEN all are deployed."""
    ours = (ROOT / "template.yaml").read_text()
    more = """
  MailQueue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt DeadLetterQueue.Arn, maxReceiveCount: 2}

  MailFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: handlers.aws.worker
      Timeout: 10
      Environment: {Variables: {MAIL_FROM: !Sub "outpost@${MailDomain}"}}
      Events:
        Mail: {Type: SQS, Properties: {Queue: !GetAtt MailQueue.Arn, BatchSize: 1}}
        Daily: {Type: Schedule, Properties: {Schedule: 'cron(0 6 * * ? *)', Input: '{"digest": true}'}}
        Inbox: {Type: HttpApi, Properties: {ApiId: !Ref HttpApi, Path: /mail, Method: POST}}
"""
    path = tmp_path / "template.yaml"
    text = ours.replace("\nResources:\n", "\nResources:\n" + more, 1)
    path.write_text(text.replace("\nParameters:\n", "\nParameters:\n  MailDomain: {Type: String}\n", 1))
    needed = {"OutpostSecrets": "a", "SqlHost": "b"}
    before = read_deployment(ROOT / "template.yaml", needed, Site())
    after = read_deployment(path, {**needed, "MailDomain": "example.org"}, Site())
    assert set(after.functions) - set(before.functions) == {"MailFunction"}
    assert set(after.queues) - set(before.queues) == {"MailQueue"}
    mail = after.functions["MailFunction"]
    assert (mail.timeout, mail.memory_mb, mail.retry_attempts) == (10, 1024, 0)
    assert mail.environment["MAIL_FROM"] == "outpost@example.org"
    assert mail.environment["SQL_HOST"] == "b"
    assert [(source.queue, source.batch_size) for source in mail.queue_sources] == [("MailQueue", 1)]
    assert [(tick.expression, json.loads(tick.input or "")) for tick in mail.schedules] == [
        ("cron(0 6 * * ? *)", {"digest": True})
    ]
    assert [(route.api, route.key) for route in mail.http_routes] == [("HttpApi", "POST /mail")]
    assert after.queues["MailQueue"].dead_letter_queue == "DeadLetterQueue"
