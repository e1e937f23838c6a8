"""Small templates, in which ``# <-`` ends the line that an error must name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import indent

import pytest

from local.template import Site, TemplateError, read_deployment

HEAD = "Transform: AWS::Serverless-2016-10-31\n"
MARK = "# <-"


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
