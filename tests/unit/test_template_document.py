"""A document, a name, a condition or a parameter that cannot be used is named with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.template import Site, TemplateError, read_deployment
from tests.support.templates import GROWN, HEAD, assert_error, error_of, resource, resources, variable

DOCUMENTS = {
    "no mapping": ("- a  # <-", "a template must be a mapping"),
    "no resources": (HEAD.rstrip() + "  # <-", "a template must have Resources"),
    "no YAML": (HEAD + "Resources: {\n  a: [}  # <-", "this is no YAML: "),
    "a tab": (HEAD + "Resources:\n\tRun: x  # <-", "this is no YAML: "),
    "two documents": (HEAD + "Resources: {}\n---  # <-\na: b", "this is no YAML: "),
    "a control character": (HEAD + "Resources: \x00  # <-", "this is no YAML: the character #x0000 may not stand here"),
    "a value of Python's": (
        HEAD + "Resources:\n  A: !!binary aaaa  # <-",
        "CloudFormation knows no values of type tag:yaml.org,2002:binary",
    ),
    "no transform": ("Resources: {}  # <-", "a template must have 'Transform: AWS::Serverless-2016-10-31'"),
    "another transform": (HEAD[:11] + "\n- AWS::LanguageExtensions  # <-\nResources: {}", "AWS::LanguageExtensions is"),
    "another section": (HEAD + "Resources: {}\nResorces: {}  # <-", "no section Resorces; did you mean Resources?"),
    "a key twice": (HEAD + "Resources:\n  A: {Type: AWS::SQS::Queue}\n  A: {}  # <-", "A stands twice in this mapping"),
    "a list for a key": (HEAD + "Resources:\n  ? [a]  # <-\n  : b", "a key must be a string"),
    "an alias in itself": (HEAD + "Resources: &all\n  A: *all  # <-", "this alias contains itself"),
    "a list of resources": (HEAD + "Resources: [a]  # <-", "Resources must be a mapping"),
    "another type": (
        HEAD + "Resources:\n  Table:\n    Type: AWS::DynamoDB::Table  # <-",
        "Table: AWS::DynamoDB::Table is not supported; AWS::Serverless::Function, AWS::Serverless::HttpApi and",
    ),
    "no type": (HEAD + "Resources:\n  Table: {}  # <-", "Table must have a Type"),
    "another attribute": (
        HEAD + "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Condtion: X  # <-",
        "Q: Condtion is no attribute of a resource; did you mean Condition?",
    ),
    "a loop": (HEAD + "Resources:\n  Fn::ForEach::All: []  # <-", "Fn::ForEach::All is not supported"),
    "globals of what": (HEAD + "Globals:\n  Functions: {}  # <-\nResources: {}", "Globals: there is no Functions"),
    "no globals": (HEAD + "Globals:\n  Function:\n    Role: x  # <-\nResources: {}", "Globals: SAM takes no Role"),
}
NAMES = {
    "nothing": (variable("A1: !Ref Quue  # <-"), "Ref: there is no parameter or resource Quue; did you mean Queue?"),
    "no attribute": (
        variable("A1: !GetAtt Queue.Size  # <-"),
        "Fn::GetAtt: Queue (AWS::SQS::Queue) has no Size on this machine, but Arn, QueueName, QueueUrl",
    ),
    "an attribute of nothing": (variable("A1: !GetAtt Nothing.Arn  # <-"), "Fn::GetAtt: there is no resource Nothing"),
    "half an attribute": (variable("A1: !GetAtt Queue  # <-"), "must be Name.Attribute or [Name, Attribute]"),
    "another function": (variable("A1: !ImportValue x  # <-"), "Fn::ImportValue is not supported; Ref, Fn::GetAtt"),
    "two functions": (variable("A1: {Ref: Queue, Fn::Sub: x}  # <-"), "beside Ref nothing else may stand"),
    "a text with nothing": (variable("A1: !Sub a${Nothing}  # <-"), "no parameter or resource Nothing"),
    "a text with a list": (variable("A1: !Sub a${AWS::NotificationARNs}  # <-"), "is no string; use Fn::Join"),
    "a text with spaces": (variable("A1: !Sub 'a${x y}'  # <-"), "${x y} is no name; write ${!x y} for the text"),
    "half a join": (variable("A1: !Join [a]  # <-"), "Fn::Join must be [delimiter, list]"),
    "beyond a list": (variable("A1: !Select [2, [a, b]]  # <-"), "the index 2 is none of a list of 2"),
    "no delimiter": (variable("A1: !Select [0, !Split ['', a]]  # <-"), "delimiter of Fn::Split may not be empty"),
    "no condition": (variable("A1: !If [Nothing, a, b]  # <-"), "there is no condition Nothing"),
    "no entry": (
        variable("A1: !FindInMap [Map, a, c]  # <-") + "Mappings: {Map: {a: {b: c}}}",
        "Fn::FindInMap: Map/a/c is not in Mappings",
    ),
    "what does not exist now": (
        variable("A1: !Ref Gone  # <-", "Gone: {Type: AWS::SQS::Queue, Condition: Never}")
        + "Conditions: {Never: !Equals [a, b]}",
        "Ref: the condition of Gone does not hold, so there is none",
    ),
    "what is not made here": (
        variable("A1: !Ref Log  # <-", "Log: {Type: AWS::Logs::LogGroup}"),
        "Ref Log: nothing of type AWS::Logs::LogGroup is made on this machine",
    ),
    "itself": (variable("A1: !Ref Run  # <-"), "circular dependency: Run -> Run"),
    "queues in a circle": (
        resources(
            resource("A", "AWS::SQS::Queue", "RedrivePolicy:", "  maxReceiveCount: 1",
                     "  deadLetterTargetArn: !GetAtt B.Arn"),
            resource("B", "AWS::SQS::Queue", "RedrivePolicy:", "  maxReceiveCount: 1",
                     "  deadLetterTargetArn: !GetAtt A.Arn  # <-"),
        ),
        "circular dependency: A -> B -> A",
    ),
    "names in a circle": (
        resources(
            resource("A", "AWS::SQS::Queue", "QueueName: !GetAtt B.QueueName  # <-"),
            resource("B", "AWS::SQS::Queue", "QueueName: !GetAtt A.QueueName"),
        ),
        "names depend on each other: A -> B -> A",
    ),
}  # fmt: skip


def _condition(*lines: str) -> str:
    return (
        resources("Used: {Type: AWS::SQS::Queue, Condition: C}") + "Conditions:\n" + "\n".join(f"  {x}" for x in lines)
    )


CONDITIONS = {
    "a circle": (
        _condition("C: !Not [!Condition Other]", "Other: !Not [!Condition C]  # <-"),
        "conditions depend on each other: C -> Other -> C",
    ),
    "a resource": (_condition("C: !Equals [!Ref Used, a]  # <-"), "Ref: there is no parameter Used"),
    "an attribute": (_condition("C: !Equals [!GetAtt Used.Arn, a]  # <-"), "conditions and rules know parameters only"),
    "no condition": (_condition("C: !Join [a, [b]]  # <-"), "Fn::Join is no condition; Fn::Equals, Fn::And"),
    "a word": (_condition("C: yes  # <-"), "a condition must be Fn::Equals"),
    "half an and": (_condition("C: !And [!Equals [a, a]]  # <-"), "Fn::And must have 2 to 10 conditions"),
    "half an equals": (_condition("C: !Equals [a]  # <-"), "Fn::Equals must have two values"),
}


def _parameter(*lines: str) -> str:
    used = resource("Used", "AWS::SQS::Queue", "DelaySeconds: !Ref Size")
    return resources(used) + "Parameters:\n  Size:\n" + "\n".join(f"    {line}" for line in lines)


PARAMETERS = {
    "no value": (
        resources(resource("Used", "AWS::SQS::Queue", "DelaySeconds: !Ref Size"))
        + "Parameters:\n  Size: {Type: String, Description: How long.}  # <-",
        {},
        "parameter Size has no default and needs a value: How long.",
    ),
    "no type": (resources() + "Parameters:\n  Size: {Default: 1}  # <-", {"Size": "2"}, "Size must have a Type"),
    "a type of AWS": (
        _parameter("Type: AWS::SSM::Parameter::Value<String>  # <-", "Default: 1"),
        {},
        "parameter Size: the type AWS::SSM::Parameter::Value<String> is not supported; use String",
    ),
    "a bad attribute": (
        _parameter("Type: String", "Defualt: 1  # <-"),
        {},
        "there is no Defualt; did you mean Default",
    ),
    "no number": (_parameter("Type: Number  # <-"), {"Size": "x"}, "parameter Size is 'x': must be a number"),
    "no number in a list": (_parameter("Type: List<Number>  # <-"), {"Size": "1,x"}, "Size is 'x': must be a number"),
    "another value": (
        _parameter("Type: String", "AllowedValues: [1, 2]  # <-"),
        {"Size": "3"},
        "parameter Size is '3': must be one of 1, 2",
    ),
    "another pattern": (
        _parameter("Type: String", "AllowedPattern: '[0-9]+'  # <-"),
        {"Size": "1x"},
        "parameter Size is '1x': must match [0-9]+",
    ),
    "its own words": (
        _parameter("Type: String", "ConstraintDescription: must be digits", "AllowedPattern: '[0-9]+'  # <-"),
        {"Size": "x"},
        "parameter Size is 'x': must be digits",
    ),
    "no pattern": (_parameter("Type: String", "AllowedPattern: '['  # <-"), {"Size": "x"}, "no regular expression"),
    "little": (_parameter("Type: Number", "MinValue: 5  # <-"), {"Size": "4"}, "must be at least 5"),
    "much": (_parameter("Type: Number", "MaxValue: 5  # <-"), {"Size": "6"}, "must be at most 5"),
    "short": (_parameter("Type: String", "MinLength: 2  # <-"), {"Size": "6"}, "must be at least 2 characters"),
    "long": (_parameter("Type: String", "MaxLength: 2  # <-"), {"Size": "666"}, "must be at most 2 characters"),
    "a bad default": (_parameter("Type: Number", "Default: 4", "MinValue: 5  # <-"), {}, "is '4': must be at least 5"),
    "unknown": (
        resources() + "Parameters:  # <-\n  Size: {Type: String, Default: 1}",
        {"Sise": "1"},
        "there is no parameter Sise; did you mean Size?",
    ),
    "a rule": (
        _parameter("Type: String", "Default: 1")
        + "\nRules:\n  R:\n    RuleCondition: !Equals [!Ref Size, 1]\n    Assertions:\n"
        + "      - Assert: !Contains [[2, 3], !Ref Size]  # <-\n        AssertDescription: 'Size: 2 or 3'",
        {},
        "Size: 2 or 3",
    ),
}


@pytest.mark.parametrize(("text", "message"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_what_is_wrong_with_a_document_is_said(text: str, message: str, tmp_path: Path) -> None:
    assert_error(tmp_path, text, message)


@pytest.mark.parametrize(("text", "message"), NAMES.values(), ids=NAMES)
def test_what_is_wrong_with_a_name_is_said(text: str, message: str, tmp_path: Path) -> None:
    assert_error(tmp_path, text, message)


@pytest.mark.parametrize(("text", "message"), CONDITIONS.values(), ids=CONDITIONS)
def test_what_is_wrong_with_a_condition_is_said(text: str, message: str, tmp_path: Path) -> None:
    assert_error(tmp_path, text, message)


@pytest.mark.parametrize(("text", "values", "message"), PARAMETERS.values(), ids=PARAMETERS)
def test_what_is_wrong_with_a_parameter_is_said(
    text: str, values: dict[str, str], message: str, tmp_path: Path
) -> None:
    assert_error(tmp_path, text, message, values)


def test_a_secret_that_is_refused_is_not_shown(tmp_path: Path) -> None:
    text = _parameter("Type: String", "NoEcho: true", "MinLength: 40")
    error = error_of(tmp_path, text, {"Size": "hunter2"})
    assert "hunter2" not in error
    assert "parameter Size: must be at least 40 characters" in error


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "missing.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(TemplateError, match=re.escape(f"{path}:1: the template cannot be read: {why}")):
            read_deployment(path, {}, Site())
    assert error_of(tmp_path, b"\xff\xfe\xfa") == "template.yaml:1: the template is no text in UTF-8"
    assert error_of(tmp_path, "# nothing\n") == "template.yaml:1: the template is empty; it must have Resources"


LINES = GROWN.splitlines()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.data())
def test_whatever_is_in_the_file_is_read_or_refused_in_one_line(tmp_path: Path, data: st.DataObject) -> None:
    """GIVEN a template with something broken WHEN it is read THEN it is, or one line says where it is not."""
    lines = list(LINES)
    at = data.draw(st.integers(0, len(lines) - 1))
    kind = data.draw(st.sampled_from(["remove", "twice", "other", "indent", "value", "cut"]))
    if kind == "remove":
        del lines[at : at + data.draw(st.integers(1, 3))]
    elif kind == "twice":
        lines.insert(at, lines[at])
    elif kind == "other":
        lines[at] = lines[data.draw(st.integers(0, len(lines) - 1))]
    elif kind == "indent":
        lines[at] = " " * data.draw(st.integers(0, 12)) + lines[at].strip()
    elif kind == "value":
        end = data.draw(
            st.sampled_from(["", " []", " {}", " 5", " -1.5", " !Ref X", " !Sub [a]", " ~", " !If [InVpc]"])
        )
        lines[at] = lines[at].partition(":")[0] + ":" + end
    else:
        lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
    path = tmp_path / "template.yaml"
    path.write_text("\n".join(lines))
    found = ""
    try:
        read_deployment(path, {"Stage": "live"}, Site())
    except TemplateError as error:
        found = str(error)
    assert not found or re.fullmatch(re.escape(str(path)) + r":[1-9][0-9]*: [^\n]+", found)
