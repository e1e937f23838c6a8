"""The command line of ``python -m local``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from local.emulator.errors import EmulatorError

_LAST_PORT = 65535

DESCRIPTION = "Runs the functions of template.yaml on this machine as they would run on Lambda, until Ctrl-C."


@dataclass(frozen=True)
class Ports:
    """Where things listen, all on loopback; 0 is a free port."""

    api: int = 3000
    """The HTTP API; further ones get free ports."""
    invoke: int = 3001
    """Lambda's Invoke API."""
    url: int = 3002
    """The Function URL; further ones get free ports."""
    aws: int = 3003
    """SQS, Secrets Manager, SSM and S3."""


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    template: Path
    state: Path
    parameters: Mapping[str, str]
    variables: Mapping[str, Mapping[str, str]]
    """More environment: for the function of that logical id, or as ``Parameters`` for all."""
    variables_file: Path | None = None
    secrets: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Texts or variables, by their names in ``OUTPOST_SECRETS``."""
    ports: Ports = Ports()
    cold: bool = False
    freeze: bool = True
    reload: bool = False
    as_json: bool = False
    tick: str = ""
    """The function whose schedule is to be fired in the emulator that runs already."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise EmulatorError(f"{message}; --help tells what there is")


def read_options(argv: list[str] | None = None) -> Options:
    """The options in ``argv``. Raises ``EmulatorError``."""
    given = _parser().parse_args(argv)
    return Options(
        template=given.template,
        state=given.state,
        parameters=dict(map(_assignment, given.parameter)),
        variables=_read_variables(given.env_vars) if given.env_vars else {},
        variables_file=given.env_vars,
        secrets=_read_secrets(given.secrets) if given.secrets else {},
        ports=Ports(given.api_port, given.invoke_port, given.url_port, given.aws_port),
        cold=given.cold,
        freeze=not given.no_freeze,
        reload=given.reload,
        as_json=given.json,
        tick=given.tick,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m local", description=DESCRIPTION)
    add = parser.add_argument
    add("--template", type=Path, default=Path("template.yaml"), help="what to run; default: %(default)s")
    add("--parameter", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the template")
    add("--env-vars", type=Path, metavar="FILE", help="JSON with more environment, as sam local's")
    add("--secrets", type=Path, metavar="FILE", help="JSON with secrets by their names")
    add("--state", type=Path, default=Path(".outpost"), metavar="FOLDER", help="what is kept; default: %(default)s")
    add("--cold", action="store_true", help="a new process for every event")
    add("--no-freeze", action="store_true", help="let instances go on between events, as they cannot on Lambda")
    add("--reload", action="store_true", help="take over code, configuration and template when they change")
    add("--json", action="store_true", help="write lines of JSON")
    for name, what in (
        ("api", "the HTTP API"),
        ("invoke", "Lambda's Invoke API"),
        ("url", "the Function URL"),
        ("aws", "SQS, Secrets Manager, SSM and S3"),
    ):
        default = getattr(Ports, name)
        add(f"--{name}-port", type=port, default=default, metavar="PORT", help=f"{what}; default: {default}, 0: any")
    add(
        "--tick",
        default="",
        metavar="FUNCTION",
        help="fire that function's schedule in the emulator that runs with this state folder, and end",
    )
    return parser


def port(text: str) -> int:
    """A port, for argparse."""
    if text.isdecimal() and int(text) <= _LAST_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port")


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise EmulatorError(f"--parameter: {text!r} is not NAME=VALUE")
    return name, value


def _read_variables(path: Path) -> dict[str, dict[str, str]]:
    what = f"--env-vars: {path}"
    variables = _read_object(what, path, '{"Parameters": {"NAME": "VALUE"}}')
    return {function: _values(f"{what}: {function}", values) for function, values in variables.items()}


def _read_secrets(path: Path) -> dict[str, str | Mapping[str, str]]:
    what = f"--secrets: {path}"
    secrets = _read_object(what, path, '{"NAME": {"VARIABLE": "VALUE"}, "ANOTHER": "TEXT"}')
    return {name: _secret(f"{what}: {name}", value) for name, value in secrets.items()}


def _secret(what: str, value: Any) -> str | Mapping[str, str]:
    return value if isinstance(value, str) else _values(what, value, ", or a text")


def _read_object(what: str, path: Path, example: str) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text())
    except OSError as error:
        raise EmulatorError(f"{what} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise EmulatorError(f"{what} is no JSON: {error}") from None
    if not isinstance(read, dict):
        raise EmulatorError(f"{what} must be an object such as {example}")
    return read


def _values(what: str, values: Any, otherwise: str = "") -> dict[str, str]:
    if not isinstance(values, dict) or any(isinstance(value, dict | list) for value in values.values()):
        raise EmulatorError(f"{what} must be an object of variables, each of them a text{otherwise}")
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
