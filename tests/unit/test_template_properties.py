"""A property that cannot be used is named with its line and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.templates import HEAD, assert_error, event, function, resource, resources, variable

FUNCTIONS = {
    "no handler": (
        HEAD + "Resources:\n  Run:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: python3.11}  # <-",
        "Run: Handler must be set, for example to package.module.function",
    ),
    "no runtime": (
        HEAD + "Resources:\n  Run:\n    Type: AWS::Serverless::Function\n    Properties: {Handler: a.b}  # <-",
        "Run: Runtime must be set, for example to python3.",
    ),
    "a handler without a module": (
        function().replace("a.run", "run  # <-"),
        "Run: Handler is 'run', and must be package.module.function",
    ),
    "another language": (
        function().replace("python3.11", "nodejs20.x  # <-"),
        "Run: Runtime is 'nodejs20.x', and must be a Python's, such as python3.",
    ),
    "a newer Python": (function().replace("python3.11", "python3.99  # <-"), "Runtime is 'python3.99', which"),
    "Python 2": (function().replace("python3.11", "python2.7  # <-"), "Runtime is 'python2.7', which"),
    "words for a time-out": (
        function("Timeout: long  # <-"),
        "Run: Timeout is 'long', and must be a whole number from 1 to 900",
    ),
    "a long time-out": (function("Timeout: 901  # <-"), "a whole number from 1 to 900"),
    "a fraction": (function("Timeout: 1.5  # <-"), "a whole number from 1 to 900"),
    "a list for a number": (function("Timeout: [1]  # <-"), "Run: Timeout must be a string"),
    "little memory": (function("MemorySize: 64  # <-"), "a whole number from 128 to 10240"),
    "less than no concurrency": (function("ReservedConcurrentExecutions: -1  # <-"), "a whole number of at least 0"),
    "a misspelt property": (function("Timout: 3  # <-"), "Run: Timout is not supported; did you mean Timeout?"),
    "a file system": (function("FileSystemConfigs: []  # <-"), "Run: FileSystemConfigs is not supported; "),
    "an image": (function("PackageType: Image  # <-"), "PackageType is 'Image', and must be Zip"),
    "code in S3": (function("CodeUri: s3://b/k  # <-"), "CodeUri is 's3://b/k', and must be a folder"),
    "code that is nowhere": (function("CodeUri: nowhere  # <-"), "CodeUri is 'nowhere', and must be a folder"),
    "many retries": (
        function("EventInvokeConfig:", "  MaximumRetryAttempts: 3  # <-"),
        "Run: EventInvokeConfig.MaximumRetryAttempts is '3', and must be a whole number from 0 to 2",
    ),
    "a destination": (
        function("EventInvokeConfig:", "  DestinationConfig: {}  # <-"),
        "Run: EventInvokeConfig.DestinationConfig is not supported; MaximumRetryAttempts, MaximumEventAgeInSeconds are",
    ),
    "a URL for the signed": (
        function("FunctionUrlConfig:", "  AuthType: AWS_IAM  # <-"),
        "Run: FunctionUrlConfig.AuthType is 'AWS_IAM', and must be NONE",
    ),
    "a URL for whom": (function("FunctionUrlConfig: {}  # <-"), "AuthType must be set"),
    "a URL that streams": (
        function("FunctionUrlConfig:", "  AuthType: NONE", "  InvokeMode: RESPONSE_STREAM  # <-"),
        "must be BUFFERED",
    ),
    "a log in JSON": (function("LoggingConfig:", "  LogFormat: JSON  # <-"), "LogFormat is 'JSON', and must be Text"),
    "a list of variables": (function("Environment: [a]  # <-"), "Run: Environment must be a mapping"),
    "a variable of Lambda's": (variable("AWS_REGION: x  # <-"), "AWS_REGION is set by Lambda itself"),
    "a variable with a dash": (variable("A-B: x  # <-"), "A-B must be a letter, followed by letters, digits and _"),
    "a variable that is a list": (
        variable("LIST: [a]  # <-"),
        "Run: Environment.Variables.LIST must be a string",
    ),
    "a name twice": (
        function("FunctionName: More")
        + "  More:\n    Type: AWS::Serverless::Function\n    Properties:  # <-\n      Runtime: python3.11\n"
        + "      Handler: a.b\n",
        "More: FunctionName is 'More', as that of Run",
    ),
    "a name with a space": (function("FunctionName: a b  # <-"), "must be 1 to 64 letters, digits, - and _"),
}
EVENTS = {
    "another kind": (
        function("Events:", "  It:", "    Type: S3  # <-"),
        "Run: Events.It.Type is 'S3', and must be HttpApi or SQS or Schedule or ScheduleV2",
    ),
    "no kind": (function("Events:", "  It: {Properties: {}}  # <-"), "Type must be set"),
    "a queue elsewhere": (event("SQS", "Queue: arn:aws:sqs:a:1:b  # <-"), "the ARN of a queue in this template"),
    "no queue": (
        function("Events:", "  It: {Type: SQS}  # <-"),
        "Run: It.Queue must be set, for example to !GetAtt Queue.Arn",
    ),
    "a large batch": (
        event("SQS", "Queue: !GetAtt Queue.Arn", "BatchSize: 11  # <-"),
        "Run: It.BatchSize above 10 needs a MaximumBatchingWindowInSeconds of at least 1",
    ),
    "no batch": (event("SQS", "Queue: !GetAtt Queue.Arn", "BatchSize: 0  # <-"), "from 1 to 10000"),
    "a filter": (event("SQS", "Queue: !GetAtt Queue.Arn", "FilterCriteria: {}  # <-"), "FilterCriteria is not supp"),
    "little scaling": (
        event("SQS", "Queue: !GetAtt Queue.Arn", "ScalingConfig:", "  MaximumConcurrency: 1  # <-"),
        "Run: It.ScalingConfig.MaximumConcurrency is '1', and must be a whole number from 2 to 1000",
    ),
    "another response": (
        event("SQS", "Queue: !GetAtt Queue.Arn", "FunctionResponseTypes: [Other]  # <-"),
        "FunctionResponseTypes may hold ReportBatchItemFailures only",
    ),
    "perhaps": (event("SQS", "Queue: !GetAtt Queue.Arn", "Enabled: perhaps  # <-"), "must be true or false"),
    "messages seen again too soon": (
        event("SQS", "Queue: !GetAtt Queue.Arn  # <-").replace("Handler", "Timeout: 61\n      Handler"),
        "names Queue, whose VisibilityTimeout of 60 s must not be below the function's Timeout of 61 s",
    ),
    "version 1": (event("HttpApi", "PayloadFormatVersion: '1.0'  # <-"), "must be 2.0"),
    "a path alone": (event("HttpApi", "Path: /a  # <-"), "Path and Method must both be set, or neither"),
    "a relative path": (event("HttpApi", "Method: GET", "Path: a  # <-"), "Path is 'a', and must be such as /serve"),
    "a method of its own": (event("HttpApi", "Path: /a", "Method: FETCH  # <-"), "Method is 'FETCH', and must be one"),
    "an API elsewhere": (event("HttpApi", "ApiId: abc  # <-"), "must be !Ref to an AWS::Serverless::HttpApi in this"),
    "an authorizer": (event("HttpApi", "Auth: {Authorizer: NONE}  # <-"), "Auth is not supported"),
    "a long wait": (event("HttpApi", "TimeoutInMillis: 30001  # <-"), "from 50 to 30000"),
    "a route twice": (
        function("Events: {A: {Type: HttpApi}, B: {Type: HttpApi}}  # <-"),
        "Run: Events has the route $default, as has ",
    ),
    "no schedule": (function("Events:", "  It: {Type: Schedule}  # <-"), "Run: It.Schedule must be set"),
    "a word for a schedule": (
        event("Schedule", "Schedule: hourly  # <-"),
        "Schedule is 'hourly', and must be rate(1 minute), rate(5 minutes) or the like, or cron() with six fields",
    ),
    "one minutes": (event("Schedule", "Schedule: rate(1 minutes)  # <-"), "must be rate(1 minute)"),
    "five fields": (event("Schedule", "Schedule: cron(* * * * *)  # <-"), "six fields"),
    "a state twice": (
        event("Schedule", "Schedule: rate(1 day)", "State: ENABLED", "Enabled: true  # <-"),
        "Enabled may not be set beside State",
    ),
    "input that is no JSON": (event("Schedule", "Schedule: rate(1 day)", "Input: '{'  # <-"), "Input must be JSON"),
    "about when": (
        event("ScheduleV2", "ScheduleExpression: rate(1 day)", "FlexibleTimeWindow:", "  Mode: FLEXIBLE  # <-"),
        "Mode is 'FLEXIBLE', and must be OFF",
    ),
    "once": (event("ScheduleV2", "ScheduleExpression: at(2030-01-01T00:00:00)  # <-"), "must be rate("),
    "from when": (
        event("ScheduleV2", "ScheduleExpression: rate(1 day)", "StartDate: x  # <-"),
        "StartDate is not supported",
    ),
    "another planet": (
        event("ScheduleV2", "ScheduleExpression: rate(1 day)", "ScheduleExpressionTimezone: Mars  # <-"),
        "ScheduleExpressionTimezone is 'Mars', and must be such as Europe/Berlin",
    ),
}


def _queue(*lines: str) -> str:
    return resources(resource("Other", "AWS::SQS::Queue", *lines))


def _api(*lines: str) -> str:
    return resources(resource("Api", "AWS::Serverless::HttpApi", *lines))


QUEUES_AND_APIS = {
    "FIFO": (_queue("FifoQueue: true  # <-"), "Other: FifoQueue is not supported; leave it out"),
    "a long pause": (_queue("VisibilityTimeout: 43201  # <-"), "a whole number from 0 to 43200"),
    "a name with a dot": (_queue("QueueName: a.fifo  # <-"), "must be 1 to 80 letters, digits, - and _"),
    "a name twice": (_queue("QueueName: outpost-Queue  # <-"), "QueueName is 'outpost-Queue', as that of Queue"),
    "no number of receives": (
        _queue("RedrivePolicy: {deadLetterTargetArn: x}  # <-"),
        "Other: RedrivePolicy.maxReceiveCount must be set, for example to 5",
    ),
    "dead letters elsewhere": (
        _queue("RedrivePolicy:", "  deadLetterTargetArn: x  # <-", "  maxReceiveCount: 1"),
        "deadLetterTargetArn is 'x', and must be the ARN of a queue in this template",
    ),
    "small messages": (_queue("MaximumMessageSize: 1024  # <-"), "Other: MaximumMessageSize is not supported"),
    "a stage": (_api("StageName: v1  # <-"), "Api: StageName is 'v1', and must be $default"),
    "a closed API": (_api("DisableExecuteApiEndpoint: true  # <-"), "DisableExecuteApiEndpoint is not supported"),
    "CORS": (_api("CorsConfiguration: true  # <-"), "Api: CorsConfiguration is not supported"),
    "CORS of SAM's own API": (
        function("Events: {It: {Type: HttpApi}}") + "Globals:\n  HttpApi:\n    CorsConfiguration: true  # <-",
        "ServerlessHttpApi: CorsConfiguration is not supported",
    ),
}


@pytest.mark.parametrize(("text", "message"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_what_is_wrong_with_a_function_is_said(text: str, message: str, tmp_path: Path) -> None:
    assert_error(tmp_path, text, message)


@pytest.mark.parametrize(("text", "message"), EVENTS.values(), ids=EVENTS)
def test_what_is_wrong_with_an_event_is_said(text: str, message: str, tmp_path: Path) -> None:
    assert_error(tmp_path, text, message)


@pytest.mark.parametrize(("text", "message"), QUEUES_AND_APIS.values(), ids=QUEUES_AND_APIS)
def test_what_is_wrong_with_a_queue_or_an_api_is_said(text: str, message: str, tmp_path: Path) -> None:
    assert_error(tmp_path, text, message)
