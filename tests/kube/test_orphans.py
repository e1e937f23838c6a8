"""Pods that no row knows: who finds them, and what is never touched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from core.config import load_config
from core.orphans import MIN_AGE, Orphans
from core.spawners import kube_own
from core.spawners.build import listing_spawner
from infra.database import Database
from infra.settings import Settings
from infra.store import SqlStore
from infra.wiring import open_database, utc_now
from tests.kube.api import Namespace
from tests.kube.control_plane import ControlPlane
from tests.kube.kubelet import Kubelet
from tests.kube.outposts import Outposts, pod_name
from tests.support.outpost import ROOT, OutpostProcess
from tests.support.recording_hub import RecordingHub
from tests.support.waiting import eventually

OWNING = "c.KubeSpawner.services_enabled = True"
LATER = MIN_AGE + timedelta(minutes=1)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_env(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Variables of a database of the test's own."""
    if request.param == "sqlite":
        return {}
    env: Mapping[str, str] = request.getfixturevalue("cluster").create_database("orphans")
    return env


@pytest.fixture(autouse=True)
def _kubeconfig(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))


class Rows:
    """An Outpost's database, and passes over its pods."""

    def __init__(self, outpost: OutpostProcess) -> None:
        self.settings = Settings.model_validate(outpost.env)
        self.database: Database = open_database(self.settings)
        self.store = SqlStore(self.database, self.settings.sealer(), utc_now)
        self.config = load_config(outpost.config)

    def forget(self, name: str) -> None:
        """Lose a row, as no Outpost ever does."""
        with self.database.write() as db:
            assert db.execute(text("DELETE FROM service WHERE name = :name"), {"name": name}).rowcount == 1

    async def look(self, delete: bool = True, after: timedelta = LATER, dry_run: bool = False) -> int:
        """One pass, so much later."""

        def clock() -> datetime:
            return utc_now() + after

        return await Orphans(self.store, lambda: self.config, clock).look(delete, dry_run)


@pytest.fixture
def opened() -> Iterator[list[Rows]]:
    """Closed at the end."""
    made: list[Rows] = []
    yield made
    for rows in made:
        rows.database.close()


def rows_of(outpost: OutpostProcess, opened: list[Rows]) -> Rows:
    """What an Outpost that has been started knows."""
    opened.append(Rows(outpost))
    return opened[-1]


def start(outpost: OutpostProcess, hub_stub: RecordingHub, *names: str) -> None:
    """Start these servers."""
    with outpost.hub() as hub:
        for name in names:
            answer = hub.start(name, env=hub_stub.env(JUPYTERHUB_USER=name))
            assert answer.status_code == 200, answer.text


def owners(namespace: Namespace, kind: str = "pods") -> list[str]:
    """Whose pods, or services, there are."""
    annotation = "hub.jupyter.org/username"
    return sorted(item["metadata"].get("annotations", {}).get(annotation, "-") for item in namespace.all(kind))


async def test_only_the_pod_without_a_row_goes_and_what_it_owns(
    namespace: Namespace,
    outposts: Outposts,
    hub_stub: RecordingHub,
    database_env: Mapping[str, str],
    opened: list[Rows],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours, theirs = outposts.new(OWNING, database_env).start(), outposts.new(OWNING).start()
    start(ours, hub_stub, "known", "lost")
    start(theirs, hub_stub, "other")
    spec = {"containers": [{"name": "notebook", "image": "lab:1"}]}
    namespace.api.create(namespace.path("pods"), metadata={"name": "foreign"}, spec=spec)
    rows = rows_of(ours, opened)
    rows.forget("lost")

    assert await rows.look() == 1

    eventually(lambda: owners(namespace) == ["-", "known", "other"], what="the pod is gone, and no other")
    eventually(lambda: owners(namespace, "services") == ["known", "other"], what="its service is gone, and no other")
    (told,) = [message for message in caplog.messages if " row" in message]
    assert told.startswith(f"hub1/lost/0 - {namespace.name}/")
    assert told.endswith(" had no row, so it was deleted")
    assert await rows.look() == 0


async def test_pods_stay_that_are_young_or_where_nothing_may_be_deleted(
    namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub, opened: list[Rows]
) -> None:
    outpost = outposts.new().start()
    start(outpost, hub_stub, "lost")
    rows = rows_of(outpost, opened)
    rows.forget("lost")

    assert await rows.look(after=MIN_AGE - timedelta(minutes=1)) == 1
    assert await rows.look(delete=False) == 1
    assert await rows.look(dry_run=True) == 1

    (pod,) = namespace.all("pods")
    assert "deletionTimestamp" not in pod["metadata"]


async def test_a_pod_that_has_taken_the_name_meanwhile_is_left_alone(
    namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub, opened: list[Rows]
) -> None:
    outpost = outposts.new().start()
    start(outpost, hub_stub, "lost")
    rows = rows_of(outpost, opened)
    async with listing_spawner(rows.config) as spawner:
        assert spawner is not None
        (server,) = await spawner.own_servers(rows.store.outpost_id())
        name = server.place.partition("/")[2]
        namespace.delete_pod(name, 0)
        eventually(lambda: namespace.pod(name) is None)
        spec = {"containers": [{"name": "notebook", "image": "lab:1"}]}
        made = namespace.api.create(namespace.path("pods"), metadata={"name": name}, spec=spec)
        await spawner.remove_own(server)
    found = namespace.pod(name)
    assert found is not None
    assert (found["metadata"]["uid"], found["metadata"].get("deletionTimestamp")) == (made["metadata"]["uid"], None)


async def test_a_pod_that_has_ended_is_no_orphan_where_such_pods_are_kept(
    namespace: Namespace, outposts: Outposts, kubelet: Kubelet, hub_stub: RecordingHub, opened: list[Rows]
) -> None:
    """The row goes when the hub has its server stopped, the pod stays."""
    outpost = outposts.new("c.KubeSpawner.delete_stopped_pods = False").start()
    start(outpost, hub_stub, "kept")
    kept = pod_name(namespace)
    kubelet.end(namespace.name, kept, 0)
    with outpost.hub() as hub:
        eventually(lambda: hub.poll("kept").json()["status"] == 0, what="it has ended")
        assert hub.stop("kept").status_code == 200
        assert hub.services() == []
    start(outpost, hub_stub, "lost")
    rows = rows_of(outpost, opened)
    rows.forget("lost")

    assert await rows.look() == 1

    eventually(lambda: namespace.names("pods") == [kept], what="the pod that runs is gone, and no other")


async def test_with_user_namespaces_all_of_them_are_looked_through(
    kubernetes: ControlPlane, namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub, opened: list[Rows]
) -> None:
    template = f"{namespace.name}-{{username}}"
    outpost = outposts.new(
        f"c.KubeSpawner.enable_user_namespaces = True\nc.KubeSpawner.user_namespace_template = {template!r}"
    ).start()
    start(outpost, hub_stub, "ada", "bob")
    homes = [Namespace(kubernetes.admin, f"{namespace.name}-{user}") for user in ("ada", "bob")]
    try:
        rows = rows_of(outpost, opened)
        rows.forget("ada")
        rows.forget("bob")
        assert await rows.look() == 2
        for home in homes:
            eventually(lambda home=home: home.all("pods") == [], what="its pod is gone")  # type: ignore[misc]
    finally:
        for home in homes:
            kubernetes.admin.delete(f"/api/v1/namespaces/{home.name}")


async def test_many_pods_are_asked_for_in_pages(
    namespace: Namespace,
    outposts: Outposts,
    hub_stub: RecordingHub,
    opened: list[Rows],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outpost = outposts.new().start()
    start(outpost, hub_stub, "ada", "bob", "eve")
    rows = rows_of(outpost, opened)
    monkeypatch.setattr(kube_own, "_PAGE", 1)
    async with listing_spawner(rows.config) as spawner:
        assert spawner is not None
        found = await spawner.own_servers(rows.store.outpost_id())
    assert sorted(server.identity for server in found) == ["hub1/ada/0", "hub1/bob/0", "hub1/eve/0"]


@pytest.mark.parametrize("trouble", ["may not", "is away"])
async def test_a_cluster_that_does_not_tell_has_no_orphans(
    kubernetes: ControlPlane,
    namespace: Namespace,
    outposts: Outposts,
    hub_stub: RecordingHub,
    opened: list[Rows],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    outpost = outposts.new().start()
    start(outpost, hub_stub, "lost")
    rows = rows_of(outpost, opened)
    rows.forget("lost")
    path = kubernetes.kubeconfig(tmp_path / "other", "nobody")
    if trouble == "is away":
        path.write_text(path.read_text().replace(kubernetes.url, "https://127.0.0.1:1"))
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr(kube_own, "_SECONDS", 0.5)

    assert await rows.look() == 0

    (told,) = [message for message in caplog.messages if message.startswith("servers without a row cannot be looked")]
    assert ('lacks a permission: "list" of "pods"' if trouble == "may not" else "cannot be reached") in told
    assert owners(namespace) == ["lost"]


def test_a_process_reports_each_pod_once(
    kubernetes: ControlPlane, namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub, opened: list[Rows]
) -> None:
    outpost = outposts.new(env={"OUTPOST_ORPHANS_SLEEP_TIMER": "0.2", "OUTPOST_DELETE_ORPHANS": "1"}).start()
    start(outpost, hub_stub, "known", "lost")
    rows_of(outpost, opened).forget("lost")
    line = f"hub1/lost/0 - {namespace.name}/"
    eventually(lambda: line in outpost.log.read_text(), what="it is reported")
    mark = kubernetes.audit.mark()

    def lists() -> list[str]:
        return [str(request) for request in kubernetes.audit.requests(mark, user="outpost") if request.verb == "list"]

    eventually(lambda: len(lists()) >= 6, what="more passes")
    assert outpost.log.read_text().count(line) == 1
    assert owners(namespace) == ["known", "lost"]


def test_the_function_looks_too(
    namespace: Namespace, outposts: Outposts, hub_stub: RecordingHub, opened: list[Rows]
) -> None:
    outpost = outposts.new().start()
    start(outpost, hub_stub, "known", "lost")
    rows = rows_of(outpost, opened)
    rows.forget("lost")
    with rows.database.write() as db:
        db.execute(text("DELETE FROM lease"))  # the process has had this half hour's pass
    env = {**outpost.env, "OUTPOST_QUEUE_URL": "http://127.0.0.1:1/queue", "AWS_DEFAULT_REGION": "eu-central-1"}
    script = """
import json
from types import SimpleNamespace
from handlers import aws
for number, dry in enumerate((True, False, False)):
    print(json.dumps(aws.recover({"dry_run": dry}, SimpleNamespace(aws_request_id=str(number)))))
"""
    ran = subprocess.run([sys.executable, "-c", script], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines() if '"dry_run"' in line]
    assert f"hub1/lost/0 - {namespace.name}/" in ran.stdout + ran.stderr
    assert [answer["services"] for answer in answers] == [1, 1, 0], "the last one is within the same half hour"
