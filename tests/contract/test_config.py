"""What operators set in ``outpost_config.py`` does what it says."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from tests.contract.conftest import Configured, config
from tests.support.outpost import HubCalls, servers_in
from tests.support.recording_hub import RecordingHub

DENY = """
def allow_override(jupyterhub_name, misc):
    return jupyterhub_name == "hub2" or set(misc) == {"motto"}
c.JupyterHubOutpost.allow_override = allow_override
"""


def test_overrides_that_are_not_allowed_fail_the_start_and_are_named(configured: Configured) -> None:
    outpost, hub = configured(DENY)
    assert hub.start("a", misc={"motto": "fine"}).status_code == 200
    denied = hub.start("b", misc={"motto": "x", "cmd": ["evil"]})
    assert denied.status_code == 419
    assert denied.json()["args"] == ["This Outpost does not allow hub1 to override: cmd, motto"]
    assert [s["name"] for s in hub.services()] == ["a"]
    with outpost.hub("hub2") as other:
        assert other.start("b", misc={"motto": "x", "badges": {}}).status_code == 200


def test_overrides_that_are_denied_can_be_ignored_instead(configured: Configured) -> None:
    outpost, hub = configured(DENY.replace("def", "async def") + 'c.JupyterHubOutpost.override_denied = "ignore"')
    assert hub.start("a", misc={"motto": "x", "cmd": ["evil"]}).status_code == 200
    (server,) = servers_in(outpost.folder)
    assert server.environ()["ZOO_MOTTO"] == "from the file"


def test_nobody_is_asked_about_overrides_that_are_empty(configured: Configured) -> None:
    _, hub = configured("c.JupyterHubOutpost.allow_override = False")
    assert hub.start("a", misc={}).status_code == 200


@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_the_start_response_can_be_sanitized(configured: Configured, keyword: str) -> None:
    _, hub = configured(f"""
{keyword} sanitize(spawner, response):
    assert spawner.user.name == "alice" and spawner.user.id == 7 and spawner.user.escaped_name == "alice"
    assert spawner.jupyterhub_name == "hub1" and spawner.start_id == "s" and spawner.flavor == "big"
    assert spawner.name == "a" and spawner.user_options["x"] == 1 and spawner.hub.api_url
    assert spawner.get_env()["JUPYTERHUB_USER"] == "alice" and spawner._log_name == "alice:a"
    spawner.log.info("sanitizing")
    return ("node-" + response[0], 81) if spawner.user_options["x"] else ""
c.JupyterHubOutpost.sanitize_start_response = sanitize
""")
    env = {"JUPYTERHUB_USER": "alice", "JUPYTERHUB_USER_ID": "7"}
    answer = hub.start("a", env=env, user_options={"start_id": "s", "flavor": "big", "x": 1})
    assert answer.json() == {"service": "http://node-127.0.0.1:81"}


def test_hooks_run_as_in_jupyterhub_and_see_the_auth_state(configured: Configured) -> None:
    outpost, hub = configured("""
import os, pathlib
notes = pathlib.Path(os.environ["TMPDIR"])
async def pre(spawner):
    (notes / "pre").write_text(str(await spawner.user.get_auth_state()))
def state_hook(spawner, auth_state):
    (notes / "hook").write_text(str(auth_state))
async def post(spawner):
    (notes / "post").write_text(str(await spawner.user.get_auth_state()))
c.Spawner.pre_spawn_hook = pre
c.Spawner.auth_state_hook = state_hook
c.Spawner.post_stop_hook = post
""")
    hub.start("a", headers={"auth-state-access-token": "abc123 ü".encode(), "Auth-State-Group": "staff"})
    expected = "{'access-token': 'abc123 ü', 'group': 'staff'}"
    assert (outpost.folder / "pre").read_text() == (outpost.folder / "hook").read_text() == expected
    hub.http.delete("/services/a", headers={"auth-state-access-token": "def456"})
    assert (outpost.folder / "post").read_text() == "{'access-token': 'def456'}"


def test_a_pre_spawn_hook_that_raises_fails_the_start_with_its_words(configured: Configured) -> None:
    _, hub = configured("""
def pre(spawner):
    raise ValueError("no home folder")
c.Spawner.pre_spawn_hook = pre
""")
    assert hub.start("a").json()["args"] == ["no home folder"]
    assert hub.services() == []


def test_certificates_are_on_disk_only_while_needed_and_only_for_their_owner(configured: Configured) -> None:
    outpost, hub = configured("")
    pems = {"keyfile": "KEY-PEM", "certfile": "CERT-PEM", "cafile": "CA-PEM"}
    hub.start("a", certs=pems, internal_trust_bundles={"hub-ca": "", "proxy-api-ca": "PROXY"})
    env = servers_in(outpost.folder)[0].environ()
    for variable, pem in [("KEYFILE", "KEY"), ("CERTFILE", "CERT"), ("CLIENT_CA", "CA")]:
        path = Path(env[f"JUPYTERHUB_SSL_{variable}"])
        assert path.read_text() == f"{pem}-PEM"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert env["JUPYTERHUB_SERVICE_URL"].startswith("https://")
    folder = Path(env["JUPYTERHUB_SSL_KEYFILE"]).parent
    assert len(list(folder.iterdir())) == 3, "the trust bundles are not needed any more"
    hub.stop("a")
    assert not folder.exists()


@pytest.mark.parametrize("send", ["False", "lambda hub: hub != 'hub1'"])
def test_events_can_be_switched_off(configured: Configured, hub_stub: RecordingHub, send: str) -> None:
    _, hub = configured(f"c.JupyterHubOutpost.send_events = {send}")
    hub.start("a", env=hub_stub.env())
    hub.stop("a")
    assert hub_stub.told("/events") == []


def test_with_poll_requires_state_nothing_is_polled_before_its_start_has_finished(configured: Configured) -> None:
    outpost, hub = configured("c.JupyterHubOutpost.poll_requires_state = True")
    hub.start("a", asynchronous=True, user_options={"slow": 1, "exit": 3})
    assert hub.poll("a").json()["status"] is None
    answer = hub.poll_until_ended("a")
    assert answer["status"] in outpost.exit_codes(3)


def test_a_changed_file_is_in_force_and_a_broken_one_is_reported(configured: Configured) -> None:
    outpost, hub = configured("")

    def write(text: str, second: int) -> None:
        outpost.config.write_text(text)
        os.utime(outpost.config, (second, second))

    write(config('c.ZooSpawner.motto = "changed"'), 1)
    hub.start("a")
    assert servers_in(outpost.folder)[0].environ()["ZOO_MOTTO"] == "changed"
    if outpost.keeps_last_good:
        write("this is no Python and holds a-secret", 2)
        health = httpx.get(f"{outpost.url}/health")
        assert (health.status_code, health.json()["config"]) == (200, "broken")
        assert "secret" not in health.text
        assert hub.start("b").status_code == 200
    write(config(), 3)
    assert httpx.get(f"{outpost.url}/health").json()["config"] == "ok"


def test_no_token_of_the_configuration_is_logged_at_any_level(configured: Configured) -> None:
    outpost, hub = configured('c.JupyterHubOutpost.flavors_update_token = "flavors-secret"')
    assert hub.start("a").status_code == 200
    assert hub.stop("a").status_code == 200
    text = outpost.log.read_text()
    assert outpost.debug_line in text
    assert "flavors-secret" not in text


def test_the_log_is_as_the_file_says(configured: Configured) -> None:
    outpost, hub = configured("""
import logging, os
c.JupyterHubOutpost.log_level = "INFO"
c.JupyterHubOutpost.log_datafmt = "%Y!"
c.JupyterHubOutpost.log_format = "%(color)s<%(levelname)s %(asctime)s>%(end_color)s %(message)s"
c.JupyterHubOutpost.extra_log_handlers = [logging.FileHandler(os.environ["TMPDIR"] + "/extra.log")]
class Quiet(logging.Filter):
    def filter(self, record):
        return "sanitizing" not in str(record.msg)
logging.getLogger("outpost").addFilter(Quiet())
def sanitize(spawner, response):
    spawner.log.info("sanitizing")
    spawner.log.info("token is %s", spawner.api_token)
    return response
c.JupyterHubOutpost.sanitize_start_response = sanitize
""")
    hub.start("a", env={"JUPYTERHUB_API_TOKEN": "very-secret"})
    for file in (outpost.log, outpost.folder / "extra.log"):
        text = file.read_text()
        assert "hub1/a/0 - token is [hidden]" in text
        assert "very-secret" not in text
        assert "sanitizing" not in text
    for formatted in ("<INFO 20", "!> hub1/a/0 - token"):
        assert (formatted in outpost.log.read_text()) is outpost.log_has_format


def test_below_a_base_path_everything_answers(configured: Configured) -> None:
    outpost, hub = configured("", OUTPOST_BASE_PATH="/outpost")
    hub.start("a")
    with HubCalls(f"{outpost.url}/outpost", "hub1", "first password") as below:
        assert [s["name"] for s in below.services()] == ["a"]
        assert below.poll("a").json()["status"] is None
        assert below.http.get("/services//x").status_code == 404
        assert below.http.get("/", follow_redirects=False).headers["location"] == "/outpost/docs"
        assert below.http.get("/docs").text.count("/outpost/openapi.json") == 1
    assert httpx.get(f"{outpost.url}/outpost/ping").status_code == 200
    assert httpx.get(f"{outpost.url}/outpost/services").status_code == 401


SPAWNERS = {
    "an import string": 'c.JupyterHubOutpost.spawner_class = "tests.support.zoo.ZooSpawner"',
    "a class": "from tests.support.zoo import ZooSpawner\nc.JupyterHubOutpost.spawner_class = ZooSpawner",
    "an entry point": 'c.JupyterHubOutpost.spawner_class = "simple"\nc.Spawner.cmd = ["sleep", "600"]',
}


@pytest.mark.parametrize("lines", SPAWNERS.values(), ids=SPAWNERS)
def test_the_spawner_is_named_by_class_entry_point_or_import(configured: Configured, lines: str) -> None:
    outpost, hub = configured(lines)
    env = {"ZOO_FOLDER": str(outpost.folder), "JUPYTERHUB_USER": outpost.folder.name}
    assert hub.start("a", env=env).status_code == 200
    assert hub.poll("a").json()["status"] is None
    assert hub.stop("a").status_code == 200
