"""What an apply has made, in the words of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Deployed:
    """Terraform's state."""

    state: dict[str, Any]

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """Every resource of a kind, by what tells it from its siblings."""
        return {
            str(instance.get("index_key", resource["name"])): instance["attributes"]
            for resource in self.state["resources"]
            if resource["type"] == kind and resource["mode"] == "managed"
            for instance in resource["instances"]
        }

    def one(self, kind: str) -> dict[str, Any]:
        """The only resource of a kind."""
        (found,) = self.all(kind).values()
        return found

    def dependencies(self, kind: str) -> Iterator[set[str]]:
        """For every resource of a kind, those that were made before it because it needs them."""
        for resource in self.state["resources"]:
            if (resource["type"], resource["mode"]) == (kind, "managed"):
                yield from (set(instance["dependencies"]) for instance in resource["instances"])

    def output(self, name: str) -> Any:
        """What Terraform tells the operator."""
        return self.state["outputs"][name]["value"]

    def functions(self) -> dict[str, dict[str, Any]]:
        """What is said of each function's service, by entry point."""
        found = self.all("google_cloudfunctions2_function")
        return {
            function["build_config"][0]["entry_point"]: function["service_config"][0] for function in found.values()
        }

    def environment(self, function: str) -> dict[str, str]:
        """A function's variables."""
        found: dict[str, str] = self.functions()[function]["environment_variables"]
        return found

    def roles(self) -> Iterator[tuple[str, str, str]]:
        """Who has which role on what: everything that a resource of IAM says."""
        for resource in self.state["resources"]:
            if resource["type"].endswith("_iam_member"):
                kind = resource["type"].removeprefix("google_").removesuffix("_iam_member")
                for instance in resource["instances"]:
                    said = instance["attributes"]
                    yield _short(said["member"]), said["role"].removeprefix("roles/"), _on(kind, said)


def _short(member: str) -> str:
    """``api`` for the API's own account; others as they are."""
    return member.removeprefix("serviceAccount:outpost-").partition("@")[0] if "outpost-" in member else member


def _on(kind: str, said: dict[str, Any]) -> str:
    field = {
        "secret_manager_secret": "secret_id",
        "storage_bucket": "bucket",
        "service_account": "service_account_id",
        "project": "project",
        "artifact_registry_repository": "repository",
    }.get(kind, "name")
    return f"{kind} {said[field].rpartition('/')[2].partition('@')[0]}"
