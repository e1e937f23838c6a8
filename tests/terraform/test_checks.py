"""The description holds in Terraform's own eyes, and a mistake in it would be found."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.cloud import DESCRIPTION, ROOT, Terraform


def test_terraform_finds_the_description_formatted_and_valid(terraform: Callable[..., Terraform]) -> None:
    made = terraform()
    for command in (["fmt", "-check", "-diff", "-no-color"], ["validate", "-no-color"]):
        done = made.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_is_of_a_version_that_the_description_allows(schema: dict[str, Any]) -> None:
    least, below = re.findall(r"(\d+)\.(\d+)", re.findall(r' version = "(>=.*)"', _read("versions.tf"))[0])
    version = tuple(map(int, schema["version"].split(".")[:2]))
    assert tuple(map(int, least)) <= version < tuple(map(int, below))


MISTAKES = {
    "an argument that there is not": ("queue.tf", "max_attempts  = 5", "max_tries = 5", "max_tries"),
    "an argument that is missing": ("queue.tf", "location = var.region", "", "location"),
    "a block twice": ("queue.tf", "retry_config {", "retry_config {}\n  retry_config {", "retry_config"),
    "a type that does not fit": ("queue.tf", "max_attempts  = 5", 'max_attempts = "five"', "number is required"),
    "a value that Google does not know": (
        "functions.tf",
        '= "VPC_EGRESS_PRIVATE_RANGES_ONLY"',
        '= "PRIVATE"',
        "PRIVATE",
    ),
    "a variable that there is not": ("queue.tf", "var.region", "var.place", "var.place|undeclared"),
    "a resource that there is not": (
        "schedules.tf",
        "google_service_account.invoker",
        "google_service_account.caller",
        "",
    ),
    "a field of another resource": ("database.tf", "network.outpost.id", "network.outpost.url", "url"),
    "a circle": ("functions.tf", "local.urls.worker", 'google_cloudfunctions2_function.outpost["api"].url', "Cycle"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_description_is_found(
    mistake: str, terraform: Callable[..., Terraform], tmp_path: Path
) -> None:
    name, right, wrong, told = MISTAKES[mistake]
    folder = tmp_path / "google"
    shutil.copytree(DESCRIPTION, folder)
    text = _read(name)
    assert right in text
    (folder / name).write_text(text.replace(right, wrong, 1))
    done = terraform(folder).run("validate", "-no-color")
    assert done.returncode == 1
    assert re.search(told, done.stdout + done.stderr)


WRONG = {
    "name": "Outpost",
    "gke_cluster": "research",
    "database_availability": "BOTH",
    "subnet_range": "10.0.0.0/28",
    "config_folder": "/nowhere",
}


@pytest.mark.parametrize("variable", WRONG)
def test_a_wrong_variable_is_refused_by_name(
    variable: str, terraform: Callable[..., Terraform], variables: dict[str, Any]
) -> None:
    said = variables | {variable: WRONG[variable]}
    done = terraform().run("plan", "-input=false", "-no-color", "-lock=false", variables=said)
    assert done.returncode == 1
    assert f"{variable}: must" in done.stderr


def declared(kind: str) -> set[str]:
    """The names of all variables or outputs."""
    return set(re.findall(rf'^{kind} "(\w+)"', "".join(map(_read, FILES)), re.M))


FILES = sorted(path.name for path in DESCRIPTION.glob("*.tf"))


def test_every_variable_is_used() -> None:
    used = re.findall(r"\bvar\.(\w+)", "".join(_read(name) for name in FILES if name != "variables.tf"))
    assert declared("variable") == set(used)


def test_the_docs_name_variables_and_outputs_that_there_are() -> None:
    text = (ROOT / "docs/google-cloud.md").read_text()
    table = text.partition("| variable | |")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1:2][0] if row else "")
    }
    assert named <= declared("variable")
    assert len(named) > 8
    assert set(re.findall(r"^    (\w+) += ", text, re.M)) <= declared("variable")
    outputs = re.findall(r"terraform output -raw (\w+)", text) + re.findall(r"output\s+`(\w+)`", text)
    assert outputs
    assert set(outputs) <= declared("output")


def test_the_documented_calls_of_functions_have_a_body() -> None:
    """Google's front end may refuse a POST without one."""
    calls = re.findall(r"curl [^`\n]*print-identity-token[^`\n]*", (ROOT / "docs/google-cloud.md").read_text())
    assert len(calls) > 1
    assert all(json.loads(re.findall("-d '(.*?)'", call)[0]) in ({}, {"dry_run": True}) for call in calls)


def _read(name: str) -> str:
    return (DESCRIPTION / name).read_text()
