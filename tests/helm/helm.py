"""The Helm CLI, and what it makes of the chart."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.outpost import ROOT

Object = dict[str, Any]

REQUIRED = os.environ.get("OUTPOST_REQUIRE_HELM") == "1"
"""Set where a missing Helm is a failure: in the project's own checks."""

CHART = ROOT / "helm" / "outpost"
VALUES = ROOT / "tests" / "helm" / "values"
EXPECTED = ROOT / "tests" / "helm" / "expected"
VERSIONS = ("3", "4")
RELEASE, NAMESPACE = "outpost", "jupyter"


class Refused(Exception):
    """Helm ended with an error; its words."""


class Helm:
    """One version of the CLI, with a home of its own and no cluster unless ``kubeconfig`` names one."""

    def __init__(self, version: str, home: Path, kubeconfig: Path | None = None) -> None:
        self.version = version
        self._program = ROOT / ".cache" / "helm" / version / "helm"
        if not self._program.exists() and not REQUIRED:
            pytest.skip(f"no Helm {version} here; .ci/helm brings it and runs this")
        assert self._program.exists(), f"no {self._program}; .ci/helm-cli brings it"
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig or home / "no-cluster"),
        }

    def run(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """What it prints; ``values`` go before those of files. Raises ``Refused``."""
        more = () if values is None else ("--values", "-")
        done = subprocess.run(
            [self._program, *arguments, *more],
            input=None if values is None else yaml.safe_dump(dict(values)),
            env=self._env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise Refused(f"{done.stdout}{done.stderr}")
        return done.stdout

    def lint(self, file: Path, chart: Path = CHART) -> str:
        """Look the chart over with the values of a file; warnings are errors."""
        return self.run("lint", "--strict", str(chart), "--values", str(file))

    def template(self, *files: Path, values: Mapping[str, Any] | None = None, chart: Path = CHART) -> list[Object]:
        """All that the chart makes of these values, in the order in which Helm says it."""
        named = [argument for file in files for argument in ("--values", str(file))]
        text = self.run("template", RELEASE, str(chart), "--namespace", NAMESPACE, *named, values=values)
        return [made for made in yaml.safe_load_all(text) if made]

    def notes(self, *files: Path, values: Mapping[str, Any] | None = None) -> str:
        """What the operator reads after an installation."""
        named = [argument for file in files for argument in ("--values", str(file))]
        text = self.run(
            "install", "--dry-run=client", RELEASE, str(CHART), "--namespace", NAMESPACE, *named, values=values
        )
        return text.partition("NOTES:\n")[2]


def one(made: list[Object], kind: str, name: str = RELEASE) -> Object:
    """The only object of that kind and name."""
    (found,) = [item for item in made if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found


def pods_of(made: list[Object]) -> Iterator[Object]:
    """The pods' templates of everything that has one."""
    for item in made:
        if item["kind"] in ("Deployment", "Job"):
            yield item["spec"]["template"]


def outpost_container(made: list[Object]) -> Object:
    """The API's container."""
    container: Object = one(made, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return container


def expectation(made: list[Object]) -> str:
    """As it is stored: by kind and name, and without what is another one at each time."""
    for item in made:
        if item["kind"] == "Secret":
            item["data"] = dict.fromkeys(item["data"], "made by Helm")
            item["metadata"]["annotations"]["outpost/made"] = "REVISION CHECKSUM"
    ordered = sorted(
        made, key=lambda item: (item["kind"], item["metadata"]["name"], item["metadata"].get("namespace", ""))
    )
    texts = [yaml.dump(item, Dumper=_Dumper, sort_keys=True, width=120, allow_unicode=True) for item in ordered]
    return "---\n".join(texts)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a difference can be read."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    block = "\n" in value and not re.search(r"[ \t]\n", value)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)


_Dumper.add_representer(str, _text)


def environment(made: list[Object], elsewhere: dict[str, dict[str, str]]) -> dict[str, str]:
    """The variables of the API's container, as a kubelet puts them together; ``elsewhere`` is what operators made."""
    sources = dict(elsewhere)
    for item in made:
        if item["kind"] == "ConfigMap":
            sources[item["metadata"]["name"]] = item["data"]
        if item["kind"] == "Secret":
            plain = {key: base64.b64decode(value).decode() for key, value in item["data"].items()}
            sources[item["metadata"]["name"]] = plain
    container = outpost_container(made)
    env: dict[str, str] = {}
    for source in container["envFrom"]:
        (reference,) = source.values()
        env |= sources[reference["name"]]
    for variable in container["env"]:
        reference = variable.get("valueFrom", {}).get("secretKeyRef")
        env[variable["name"]] = sources[reference["name"]][reference["key"]] if reference else variable["value"]
    return env
