"""What functions find in their environment here, beside what template.yaml says."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.configs import HUB_NAME, OUTPOST_CONFIG
from local.emulator.errors import EmulatorError
from local.emulator.options import Options
from local.processes import MARK_VARIABLE
from local.state import State
from local.template import Deployment, FunctionResource

SECRET_NAME = "outpost"  # noqa: S105  # its name

_ALL = "Parameters"
_CODE_ON_LAMBDA = "/var/task"
_SQL_HOST = "SqlHost"


def parameter_defaults(options: Options) -> dict[str, str]:
    """What the template's parameters are here where nobody says otherwise; for a SAM template of Outpost."""
    built_in = options.template.absolute().parent / OUTPOST_CONFIG.name
    return {
        "OutpostSecrets": SECRET_NAME,
        "SecretArns": "",
        _SQL_HOST: "localhost",
        "ConfigFile": "" if built_in.exists() else str(OUTPOST_CONFIG),
    }


@dataclass(frozen=True)
class Environment:
    """Makes the environment of each function, and the secret that most of Outpost's own comes from."""

    options: Options
    state: State
    account: Mapping[str, str] = field(repr=False)
    """By which functions find AWS."""

    def secrets(self) -> dict[str, str]:
        """The texts of Outpost's secret and of those in ``--secrets``, by their names in ``OUTPOST_SECRETS``."""
        own = self.options.secrets.get(SECRET_NAME, {})
        all_secrets = {**self.options.secrets, SECRET_NAME: own if isinstance(own, str) else self._secret(own)}
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in all_secrets.items()}

    def _secret(self, more: Mapping[str, str]) -> dict[str, str]:
        """The variables in Outpost's secret; those of ``--env-vars`` for all functions win here too."""
        secrets = self.state.secrets
        values = {
            "OUTPOST_CRYPT_KEY": secrets.crypt_key,
            "usernames": HUB_NAME,
            "passwords": secrets.outpost_password,
            "DEMO_FLAVORS_TOKEN": secrets.flavors_token,
            **more,
        }
        given = self.options.variables.get(_ALL, {})
        return values | {name: given[name] for name in values.keys() & given.keys()}

    def of(self, function: FunctionResource) -> dict[str, str]:
        """All variables of a function but those that Lambda itself sets."""
        given = self.options.variables
        return {
            **{name: _on_this_machine(value, function.code) for name, value in function.environment.items()},
            **self._database(function.environment),
            **self._machine(),
            **self.account,
            **given.get(_ALL, {}),
            **given.get(function.logical_id, {}),
        }

    def check(self, deployment: Deployment) -> None:
        """Raises ``EmulatorError`` when ``--env-vars`` names a function that there is not."""
        for name in self.options.variables:
            if name != _ALL and name not in deployment.functions:
                known = ", ".join([_ALL, *deployment.functions])
                raise EmulatorError(f"--env-vars: {self.options.variables_file}: {name!r} is none of {known}")

    def _database(self, environment: Mapping[str, str]) -> dict[str, str]:
        """SQLite, unless a parameter names a server."""
        if _SQL_HOST in self.options.parameters or "SQL_TYPE" not in environment:
            return {}
        return {"SQL_TYPE": "sqlite", "SQL_DATABASE_URL": str(self.state.folder / "outpost.sqlite")}

    def _machine(self) -> dict[str, str]:
        """What Spawners of local processes need."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
        return {**kept, "PATH": path, MARK_VARIABLE: self.state.mark, "DEMO_HOMES": str(self.state.homes)}


def _on_this_machine(value: str, code: Path) -> str:
    """A path in the functions' package is one in the folder of the code."""
    if value == _CODE_ON_LAMBDA or value.startswith(f"{_CODE_ON_LAMBDA}/"):
        return f"{code}{value.removeprefix(_CODE_ON_LAMBDA)}"
    return value
