"""Small templates, in which ``# <-`` ends the line that an error must name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import indent

import pytest

from local.template import Site, TemplateError, read_deployment

HEAD = "Transform: AWS::Serverless-2016-10-31\n"
MARK = "# <-"
GROWN = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: test, AllowedValues: [test, live]}
  Names: {Type: CommaDelimitedList, Default: "one,two"}
  Window: {Type: Number, Default: 5}
Mappings:
  Sizes: {test: {Memory: 256, Hosts: [a, b]}, live: {Memory: 1024, Hosts: [c]}}
Conditions:
  IsLive: !Equals [!Ref Stage, live]
  IsOther: !Not [!Condition IsLive]
  Both: !And [!Condition IsLive, !Equals [!Ref Window, 5]]
  Either: !Or [!Condition IsLive, !Equals [!Ref Window, 5]]
Globals:
  Function:
    Runtime: python3.11
    Handler: package.main.run
    Timeout: 20
    FunctionUrlConfig: {AuthType: NONE}
    Environment: {Variables: {SHARED: global, STAGE: !Ref Stage, SIZE: 10, QUICK: true}}
    EventInvokeConfig: {MaximumRetryAttempts: 1, MaximumEventAgeInSeconds: 120}
Resources:
  Work:
    Type: AWS::SQS::Queue
    Properties: {VisibilityTimeout: 120, RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 3}}
  Dead: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${AWS::StackName}-dead", DelaySeconds: 4}}
  Live: {Type: AWS::SQS::Queue, Condition: IsLive}
  Named: {Type: AWS::Serverless::HttpApi, Properties: {Name: named}}
  First:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub "${AWS::StackName}-first"
      Timeout: !If [Either, 30, 40]
      MemorySize: !FindInMap [Sizes, !Ref Stage, Memory]
      EventInvokeConfig: {MaximumRetryAttempts: 2}
      Environment:
        Variables:
          SHARED: own
          JOINED: !Join ["/", [x, !Select [1, !Ref Names], !Ref AWS::NoValue]]
          PARTS: !Join [",", !FindInMap [Sizes, live, Hosts]]
          TEXT: !Sub ["${a}-${AWS::Region}-${!literal}", {a: !Select [0, !Split [":", "p:q"]]}]
          ONLY_LIVE: !If [IsLive, yes, !Ref AWS::NoValue]
          QUEUE: !GetAtt Work.QueueName
      Events:
        Get: {Type: HttpApi, Properties: {Path: "/things/{id}", Method: get}}
        All: {Type: HttpApi, Properties: {Path: "/{rest+}", Method: ANY, TimeoutInMillis: 5000}}
        Explicit: {Type: HttpApi, Properties: {ApiId: !Ref Named, Path: /x, Method: POST}}
  Second:
    Type: AWS::Serverless::Function
    Condition: IsOther
    IgnoreGlobals: [FunctionUrlConfig, EventInvokeConfig]
    Properties:
      Handler: package.other.run
      ReservedConcurrentExecutions: !If [Both, 1, 2]
      Events:
        Messages:
          Type: SQS
          Properties: {Queue: !GetAtt Work.Arn, BatchSize: 100, MaximumBatchingWindowInSeconds: !Ref Window}
        More: {Type: SQS, Properties: {Queue: !GetAtt Dead.Arn, Enabled: false}}
        Tick: {Type: Schedule, Properties: {Schedule: rate(5 minutes), Enabled: false, Input: '{"a": 1}', Name: mine}}
        Cron:
          Type: ScheduleV2
          Properties: {ScheduleExpression: 'cron(0 9 ? * MON-FRI *)', ScheduleExpressionTimezone: Europe/Berlin}
  Third:
    Type: AWS::Serverless::Function
    IgnoreGlobals: "*"
    Properties: {Runtime: python3.11, Handler: package.third.run}
"""


def resources(*parts: str) -> str:
    """A template of these resources, and a queue named Queue."""
    queue = "Queue: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 60}}"
    return HEAD + "Resources:\n" + _indented(queue, *parts) + "\n"


def resource(name: str, kind: str, *properties: str) -> str:
    """One resource; ``properties`` are lines."""
    return f"{name}:\n  Type: {kind}\n  Properties:\n{indent(_indented(*properties), '  ')}"


def function(*properties: str) -> str:
    """A template with a function named Run."""
    return resources(resource("Run", "AWS::Serverless::Function", "Runtime: python3.11", "Handler: a.run", *properties))


def event(kind: str, *properties: str) -> str:
    """A template with an event named It of the function Run."""
    lines = indent(_indented(*properties), "    ")
    return function("Events:", "  It:", f"    Type: {kind}", "    Properties:", lines)


def variable(line: str, *more: str) -> str:
    """A template with that line in the function's environment, and more resources."""
    properties = ("Runtime: python3.11", "Handler: a.run", "Environment:", "  Variables:", f"    {line}")
    return resources(resource("Run", "AWS::Serverless::Function", *properties), *more)


def error_of(folder: Path, text: str | bytes, parameters: Mapping[str, str] | None = None) -> str:
    """What reading that template says; the place is without the folder."""
    path = folder / "template.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TemplateError) as raised:
        read_deployment(path, parameters or {}, Site())
    return str(raised.value).removeprefix(f"{folder}/")


def assert_error(folder: Path, text: str, message: str, parameters: Mapping[str, str] | None = None) -> None:
    """Reading it says that in one line, with the number of the line that is marked."""
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith(MARK)]
    assert len(lines) == 1, "mark one line"
    error = error_of(folder, text, parameters)
    assert error.startswith(f"template.yaml:{lines[0]}: "), error
    assert message in error, error
    assert "\n" not in error


def _indented(*lines: str) -> str:
    return indent("\n".join(lines), "  ")
