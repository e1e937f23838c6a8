"""What operators rely on in what the chart makes, value by value."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.fernet import Fernet

from handlers import server
from infra.settings import Settings
from infra.sshd import __main__ as sshd
from tests.helm.helm import (
    CHART,
    NAMESPACE,
    RELEASE,
    VALUES,
    Helm,
    Object,
    environment,
    one,
    outpost_container,
    pods_of,
)
from tests.helm.releases import KEY, SEPARATE
from tests.support.outpost import NO_TLS, ROOT, OutpostProcess

ECHO = "command=\"/bin/echo 'Connection allowed for port forwarding only'\""
POSTGRESQL = {"database": {"type": "postgresql"}, "extraEnvVarsSecrets": ["my-db-secret"]}


def test_outpost_runs_with_the_environment_that_the_chart_makes(helm: Helm, tmp_path: Path) -> None:
    made = helm.template(values={"basePath": "/outpost", **SEPARATE})
    env = environment(made, {})
    assert env.pop("SQL_DATABASE_URL") == "/var/lib/outpost/sqlite.db"
    outpost = OutpostProcess(tmp_path)
    outpost.env = {name: outpost.env[name] for name in ("PATH", "HOME", "TMPDIR", "SQL_DATABASE_URL")} | env
    outpost.launch()
    try:
        outpost.url += "/outpost"
        outpost.wait()
        probes = outpost_container(made)
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            path = probes[probe]["httpGet"]["path"]
            assert httpx.get(f"http://127.0.0.1:{outpost.port}{path}", verify=NO_TLS).status_code == 200
        own = (env["usernames"], env["passwords"])
        assert httpx.get(f"{outpost.url}/services", auth=own, verify=NO_TLS).status_code == 200
        assert httpx.get(f"{outpost.url}/services", auth=(own[0], "guessed"), verify=NO_TLS).status_code == 401
    finally:
        outpost.close()


def test_every_variable_of_the_chart_is_one_that_outpost_reads(newest: Helm) -> None:
    known = {str(field.validation_alias) for field in Settings.model_fields.values()} | {"OUTPOST_CONFIG_FILE"}
    known |= {"OUTPOST_SSH_AUTHORIZED_KEYS", "usernames", "passwords"}
    for values in ({"outpostConfig": "# nothing\n", "basePath": "/outpost", "sshPublicKeys": [KEY]}, SEPARATE):
        assert environment(newest.template(values=values), {}).keys() <= known


def test_what_operators_set_goes_before_what_the_chart_sets(newest: Helm) -> None:
    made = newest.template(values={"extraEnvVarsSecrets": ["db"], "extraEnvVarsCMs": ["site"]})
    elsewhere = {
        "db": {"SQL_DATABASE_URL": "/var/lib/outpost/old.db", "LOGGER_NAME": "secret"},
        "site": {"LOGGER_NAME": "map", "A": "B"},
    }
    env = environment(made, elsewhere)
    assert (env["SQL_DATABASE_URL"], env["LOGGER_NAME"], env["A"]) == ("/var/lib/outpost/old.db", "secret", "B")

    made = newest.template(
        values={"extraEnvVarsCMs": ["site"], "extraEnvVars": {"LOGGER_NAME": "inline", "A": 10000000}}
    )
    env = environment(made, elsewhere)
    assert (env["LOGGER_NAME"], env["A"]) == ("inline", "10000000")


def test_secrets_that_the_chart_makes_are_other_ones_at_each_time_and_of_the_right_kind(newest: Helm) -> None:
    first, second = newest.template(values=SEPARATE), newest.template(values=SEPARATE)
    for name in ("crypt", "users", "ssh-host-keys", "ssh-node"):
        data = one(first, "Secret", f"{RELEASE}-{name}")["data"]
        assert data != one(second, "Secret", f"{RELEASE}-{name}")["data"]
    env = environment(first, {})
    Fernet(env["OUTPOST_CRYPT_KEY"])
    assert len(env["passwords"]) == len(env["OUTPOST_SSH_NODE_TOKEN"]) == 40


def test_no_secret_is_made_in_place_of_one_that_is_named(newest: Helm) -> None:
    named = {
        "cryptSecret": "key",
        "outpostUsers": "users",
        "sshPublicKeys": [KEY],
        "sshNode": {"hostKeysSecret": "host"},
    }
    made = newest.template(values=named)
    assert [item for item in made if item["kind"] == "Secret"] == []
    inline = {"extraEnvVars": {"OUTPOST_CRYPT_KEY": "x", "usernames": "hub"}}
    assert [item for item in newest.template(values=inline) if item["kind"] == "Secret"] == []


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (KEY, f"restrict,port-forwarding,{ECHO} {KEY}"),
        (f'from="10.0.0.0/8" {KEY}', f'restrict,port-forwarding,from="10.0.0.0/8",{ECHO} {KEY}'),
        (f"restrict {KEY}", f"restrict,port-forwarding,{ECHO} {KEY}"),
        (f'restrict,port-forwarding,command="/bin/false" {KEY}', None),
    ],
)
def test_a_public_key_may_forward_ports_and_nothing_else(newest: Helm, key: str, line: str | None) -> None:
    made = newest.template(values={"sshPublicKeys": [f"  {key}\n"]})
    assert one(made, "ConfigMap", f"{RELEASE}-auth")["data"]["authorized_keys"] == f"{line or key}\n"


def test_openssh_reads_the_host_key_and_the_public_keys(newest: Helm, tmp_path: Path) -> None:
    made = newest.template(VALUES / "remote-nodeports.yaml")
    (tmp_path / "authorized_keys").write_text(one(made, "ConfigMap", f"{RELEASE}-auth")["data"]["authorized_keys"])
    host_key = tmp_path / "ssh_host_ecdsa_key"
    host_key.touch(mode=0o600)
    (content,) = one(made, "Secret", f"{RELEASE}-ssh-host-keys")["data"].values()
    host_key.write_bytes(base64.b64decode(content))

    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(host_key)], capture_output=True, text=True, check=True
    ).stdout
    assert public.startswith("ecdsa-sha2-nistp256 ")
    listed = ["ssh-keygen", "-l", "-f", str(tmp_path / "authorized_keys")]
    keys = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [key.split()[2] for key in keys] == ["hub@example.org", "second@example.org"]


def test_pods_run_without_root_and_without_rights(newest: Helm, chart: Path) -> None:
    for values in ({}, SEPARATE, {**POSTGRESQL, **SEPARATE, "replicas": 2}):
        for pod in pods_of(newest.template(values=values, chart=chart)):
            assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
            assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in pod["spec"]["containers"]:
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }


def test_only_the_api_has_a_token_of_kubernetes(newest: Helm) -> None:
    made = newest.template(values={**POSTGRESQL, **SEPARATE})
    tokens = [pod["spec"].get("automountServiceAccountToken", True) for pod in pods_of(made)]
    assert sorted(tokens) == [False, False, True]
    assert one(made, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == RELEASE


def test_a_security_context_may_be_left_out_key_by_key(newest: Helm) -> None:
    of_openshift: dict[str, Any] = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    made = newest.template(values=of_openshift)
    pod = one(made, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.mark.parametrize(
    ("values", "parts"),
    [({}, ["rules"]), ({"rbac": {"userNamespaces": True}}, ["rules", "userNamespaceRules"])],
)
def test_the_rights_are_exactly_those_that_kubespawner_needs(
    newest: Helm, values: dict[str, Any], parts: list[str]
) -> None:
    rights = yaml.safe_load((CHART / "files" / "rbac.yaml").read_text())
    made = newest.template(values=values)
    (role,) = [item for item in made if item["kind"] in ("Role", "ClusterRole")]
    assert role["rules"] == [rule for part in parts for rule in rights[part]]


def test_there_are_no_rights_without_rbac(newest: Helm) -> None:
    made = newest.template(values={"rbac": {"create": False}})
    assert not {item["kind"] for item in made} & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}


def test_pods_are_new_when_the_configuration_is_unless_it_is_read_again(newest: Helm) -> None:
    def template(text: str, restart: bool) -> Object:
        made = newest.template(values={"outpostConfig": text, "restartOnConfigChange": restart, "cryptSecret": "key"})
        pod: Object = one(made, "Deployment")["spec"]["template"]
        return pod

    assert template("# one", True) != template("# two", True)
    assert template("# one", False) == template("# two", False)


@pytest.mark.parametrize("separate", [True, False])
def test_other_public_keys_need_no_new_pods(newest: Helm, separate: bool) -> None:
    """The SSH node sees them by itself, and tunnels live on."""

    def made(*keys: str) -> tuple[Object, list[Object]]:
        values = {"cryptSecret": "key", "sshPublicKeys": [*keys], "sshNode": {"separate": separate}}
        of_these = newest.template(values=values)
        return one(of_these, "ConfigMap", f"{RELEASE}-auth")["data"], list(pods_of(of_these))

    before, after = made(KEY), made(KEY, f"{KEY}2")
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_a_service_reaches_the_pods_of_its_part_and_no_others(newest: Helm) -> None:
    made = newest.template(values={**POSTGRESQL, **SEPARATE})
    labels = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"]
        for item in made
        if item["kind"] in ("Deployment", "Job")
    }
    for name in (RELEASE, f"{RELEASE}-ssh"):
        selector = one(made, "Service", name)["spec"]["selector"]
        assert [part for part, has in labels.items() if selector.items() <= has.items()] == [name]


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_source_addresses_are_kept_where_that_is_asked_for(newest: Helm, kind: str) -> None:
    local = {"type": kind, "externalTrafficPolicy": "Local"}
    made = newest.template(values={"sshPublicKeys": [KEY], "service": local, "servicessh": {"type": kind}})
    assert one(made, "Service")["spec"]["externalTrafficPolicy"] == "Local"
    assert "externalTrafficPolicy" not in one(made, "Service", f"{RELEASE}-ssh")["spec"]
    made = newest.template(values={"sshPublicKeys": [KEY], "servicessh": local})
    assert one(made, "Service", f"{RELEASE}-ssh")["spec"]["externalTrafficPolicy"] == "Local"


def test_a_pod_that_a_new_one_replaces_answers_until_nobody_asks_it(newest: Helm) -> None:
    def waits(made: list[Object]) -> str:
        (sleep, seconds) = outpost_container(made)["lifecycle"]["preStop"]["exec"]["command"]
        assert sleep == "sleep"
        return str(seconds)

    assert waits(newest.template(values=POSTGRESQL)) == "5"
    for values in ({}, {**POSTGRESQL, "sshPublicKeys": [KEY]}):
        made = newest.template(values=values)
        assert one(made, "Deployment")["spec"]["strategy"]["type"] == "Recreate"
        assert waits(made) == "0"


def test_a_pod_has_the_time_to_end_in_order(newest: Helm) -> None:
    pod = one(newest.template(values=POSTGRESQL), "Deployment")["spec"]["template"]["spec"]
    (_, waited) = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    graces = server.REQUESTS_GRACE_SECONDS + server.TASKS_GRACE_SECONDS + server.MESSAGES_GRACE_SECONDS
    least = 35
    assert int(waited) + graces < least < pod["terminationGracePeriodSeconds"]
    assert graces < sshd._LONGEST_END_SECONDS < least
    newest.template(values={"terminationGracePeriodSeconds": least})


def test_no_pod_shares_a_sqlite_file_or_a_tunnel_with_its_successor(newest: Helm) -> None:
    def strategy(**values: Any) -> str:
        kind: str = one(newest.template(values=values), "Deployment")["spec"]["strategy"]["type"]
        return kind

    assert strategy() == "Recreate"
    assert strategy(**POSTGRESQL, sshPublicKeys=[KEY]) == "Recreate"
    assert strategy(**POSTGRESQL) == strategy(**POSTGRESQL, **SEPARATE) == "RollingUpdate"


def test_alerts_and_dashboard_are_handed_on_as_they_are(newest: Helm) -> None:
    on = {"metrics": {name: {"enabled": True} for name in ("prometheusRule", "dashboard")}}
    made = newest.template(values=on)
    alerts = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    absent = alerts["groups"][0]["rules"][0]
    assert absent["expr"] == "absent(outpost_build_info)"
    absent["expr"] = f'absent(outpost_build_info{{namespace="{NAMESPACE}"}})'  # others may be there
    assert one(made, "PrometheusRule")["spec"]["groups"] == alerts["groups"]
    dashboard = one(made, "ConfigMap", f"{RELEASE}-dashboard")["data"]["outpost.json"]
    assert dashboard == (CHART / "files" / "dashboard.json").read_text()


NOTES = {
    "local": ['request_url = "http://outpost.jupyter.svc:8080/services"', "svc_create = False", "outpost-users"],
    "remote-nodeports": ["http://ADDRESS-OF-A-NODE:30080/services", "ssh_during_startup = True", "ssh_port = 30022"],
    "ingress": ["public_api_url", "https://outpost.example.org/services", 'ssh_node = "192.0.2.7"', "ssh_port = 22"],
    "postgresql": ['"http://outpost.jupyter.svc:8080/outpost/services"'],
    "one-container": [
        "outpost-jupyterhub-outpost-ssh.jupyter.svc",
        "Back up the Secret outpost-jupyterhub-outpost-crypt",
    ],
    "database-in-secret": ["database.type: postgresql"],
    "nothing": ["get secret outpost-users", "Back up the Secret outpost-crypt"],
}


@pytest.mark.parametrize("name", NOTES)
def test_the_notes_say_how_to_connect_a_hub(newest: Helm, name: str) -> None:
    said = newest.notes(VALUES / f"{name}.yaml")
    for part in NOTES[name]:
        assert part in said


def test_the_notes_configure_a_real_outpostspawner(newest: Helm) -> None:
    from outpostspawner import OutpostSpawner

    for name in NOTES:
        lines = newest.notes(VALUES / f"{name}.yaml").splitlines()
        used = [
            line.strip().removeprefix("c.OutpostSpawner.").split(" ")[0]
            for line in lines
            if "c.OutpostSpawner." in line
        ]
        assert {"request_url", "request_headers"} <= set(used) <= set(OutpostSpawner.class_trait_names(config=True))


def differing(schema: Object, values: Object, path: str = "") -> Iterator[str]:
    """Names that only one of schema and default values has."""
    yield from (f"{path}{name}" for name in schema["properties"].keys() ^ values.keys())
    for name, value in values.items():
        below = schema["properties"].get(name, {})
        if isinstance(value, dict) and "properties" in below:
            yield from differing(below, value, f"{path}{name}.")


def test_schema_and_default_values_have_the_same_names() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert list(differing(schema, yaml.safe_load((CHART / "values.yaml").read_text()))) == []


def test_the_documentations_values_install(helm: Helm) -> None:
    (values,) = re.findall(
        r"```yaml\n# values.yaml\n(.*?)```", (ROOT / "docs" / "kubernetes.md").read_text(), re.DOTALL
    )
    made = helm.template(values=yaml.safe_load(values))
    assert one(made, "ConfigMap", f"{RELEASE}-flavors")


def test_the_chart_runs_the_version_that_it_comes_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == project["version"]


def test_every_value_is_documented_where_it_stands() -> None:
    text = re.sub(r"^# ----.*\n(# .*\n)*\n", "", (CHART / "values.yaml").read_text(), flags=re.MULTILINE)
    silent = [block for block in text.split("\n\n") if "# " not in block]
    assert [block.splitlines()[0] for block in silent] == []
