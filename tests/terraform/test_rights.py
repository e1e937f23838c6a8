"""Who may do what is what docs/google-cloud.md says, and no more."""

from __future__ import annotations

from tests.terraform.cloud import PROJECT, ROOT
from tests.terraform.conftest import OPERATOR
from tests.terraform.state import Deployed

PLACES = {
    "the secret": "secret_manager_secret outpost",
    "the bucket of the configuration": f"storage_bucket {PROJECT}-outpost-config",
    "the queue": "cloud_tasks_queue outpost-worker",
    "the account of Cloud Tasks": "service_account outpost-tasks",
    "the cluster's project, if there is a cluster": f"project {PROJECT}",
}
CALLERS = {"everybody": "allUsers", "Cloud Tasks' account": "tasks", "Cloud Scheduler's account": "schedules"}
BUILDS = {
    ("artifactregistry.writer", "artifact_registry_repository outpost"),
    ("logging.logWriter", f"project {PROJECT}"),
    ("storage.objectViewer", f"project {PROJECT}"),
}
CALLED = "run.invoker"


def tables() -> list[list[list[str]]]:
    """The rows of the section's tables, by cell."""
    section = (ROOT / "docs/google-cloud.md").read_text().partition("\n## Who may do what\n")[2].partition("\n## ")[0]
    blocks = [[line for line in block.splitlines() if line.startswith("|")] for block in section.split("\n\n")]
    rows = [[[cell.strip(" `") for cell in line.strip("|").split("|")] for line in block] for block in blocks if block]
    return [[row for row in table if not row[0].startswith("---")] for table in rows]


def test_functions_have_the_roles_of_the_table_and_no_others(all_said: Deployed) -> None:
    (header, on, *rows), _ = tables()
    documented = {
        (row[0], role, PLACES[place])
        for row in rows
        for role, place, cell in zip(header[1:-1], on[1:-1], row[1:-1], strict=True)
        if cell == "yes"
    }
    functions = set(all_said.functions())
    assert {right for right in all_said.roles() if right[0] in functions} == documented
    assert {row[0] for row in rows} == functions


def test_functions_are_called_by_those_of_the_table_and_nobody_else(all_said: Deployed) -> None:
    _, (_, *rows) = tables()
    documented = set()
    for names, callers, network, _ in rows:
        for name in names.split("`, `"):
            said = (CALLERS.get(caller, OPERATOR) for caller in callers.replace("`", "").split(", "))
            documented |= {(caller, CALLED, f"cloud_run_v2_service outpost-{name}") for caller in said}
            inside = all_said.functions()[name]["ingress_settings"] == "ALLOW_INTERNAL_ONLY"
            assert inside == (network == "inside Google's")
            assert "OUTPOST_OIDC_CALLERS" not in all_said.environment(name), (
                "IAM hands tokens on without their signature"
            )
    assert {right for right in all_said.roles() if right[1] == CALLED} == documented


def test_nobody_else_has_a_role(all_said: Deployed) -> None:
    others = {right for right in all_said.roles() if right[0] not in all_said.functions() and right[1] != CALLED}
    assert others == {("build", *right) for right in BUILDS}
    project_wide = all_said.all("google_project_iam_member")["roles/storage.objectViewer"]
    assert "gcf-v2-sources-" in project_wide["condition"][0]["expression"]


def test_nothing_gives_roles_but_what_the_tests_read(all_said: Deployed) -> None:
    kinds = {resource["type"] for resource in all_said.state["resources"]}
    assert not [kind for kind in kinds if "_iam_" in kind and not kind.endswith("_iam_member")]
