"""The file that Spawners find a cloud's cluster by."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock

import pytest

from core.errors import ConfigError
from infra import kubeconfig
from infra.kubeconfig import Cluster, Kubeconfig, Token
from tests.support.clock import Clock
from tests.support.waiting import eventually

CLUSTER = Cluster("hpc", "https://192.0.2.1", "Q0E=")


class Signer:
    """Tokens with numbers, good for ten minutes."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.made = 0
        self.fails = False

    def __call__(self) -> Token:
        """The next one."""
        if self.fails:
            raise ConfigError("no credentials")
        self.made += 1
        return Token(f"token {self.made}", self.clock() + timedelta(minutes=10))


@pytest.fixture
def signer(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signer:
    """With a folder for temporary files of one's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Signer(clock)


@pytest.fixture
def make(signer: Signer) -> Iterator[Callable[[], Kubeconfig]]:
    """Write a file for the cluster."""
    made: list[Kubeconfig] = []

    def write() -> Kubeconfig:
        made.append(Kubeconfig(CLUSTER, signer, signer.clock))
        return made[-1]

    yield write
    for one in made:
        one.close()


Make = Callable[[], Kubeconfig]


def token_in(path: Path) -> str:
    """What a client would send."""
    return str(json.loads(path.read_text())["users"][0]["user"]["token"])


def test_a_token_is_renewed_when_it_is_time_and_not_before(make: Make, signer: Signer) -> None:
    file = make()
    signer.clock.forward(minutes=9, seconds=59)
    file.refresh()
    assert token_in(file.path) == "token 1"
    signer.clock.forward(seconds=1)
    file.refresh()
    assert token_in(file.path) == "token 2"


class Door:
    """A lock that counts who has come to it."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self._lock = Lock()

    def __enter__(self) -> None:
        self.came.append(1)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_those_who_come_while_a_token_is_renewed_wait_for_that_try_alone(
    make: Make, signer: Signer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each with a try of its own would wait for all before it, where the cloud does not answer."""
    file, door, goes_on = make(), Door(), Event()

    def hanging() -> Token:
        goes_on.wait(60)
        raise ConfigError("no answer")

    monkeypatch.setattr(file, "_lock", door)
    monkeypatch.setattr(file, "_sign", hanging)
    signer.clock.forward(minutes=10)
    with ThreadPoolExecutor(4) as threads:
        try:
            asked = [threads.submit(file.refresh) for _ in range(4)]
            eventually(lambda: len(door.came) == 4, what="all are there")
            assert not [one for one in asked if one.done()]
        finally:
            goes_on.set()
    assert [one.result() for one in asked] == [None] * 4
    assert caplog.messages == ["the token for the cluster hpc is not renewed: no answer"]


def test_a_token_is_renewed_during_an_operation_that_lasts_longer(
    make: Make, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeconfig, "_LOOK_SECONDS", 0.05)
    file = make()
    signer.clock.forward(minutes=10)
    eventually(lambda: token_in(file.path) == "token 2")


def test_a_process_that_was_forked_renews_tokens_too(
    make: Make, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubeconfig, "_LOOK_SECONDS", 0.05)
    file = make()
    file._closed.set()
    file._keeper.join()
    file._closed.clear()
    file.refresh()
    signer.clock.forward(minutes=10)
    eventually(lambda: token_in(file.path) == "token 2")


def test_a_failure_to_renew_is_logged_and_made_up_for(
    make: Make, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    file = make()
    signer.fails = True
    signer.clock.forward(minutes=11)
    file.refresh()
    assert token_in(file.path) == "token 1"
    assert "the token for the cluster hpc is not renewed: no credentials" in caplog.text
    signer.fails = False
    file.refresh()
    assert token_in(file.path) == "token 2"


def test_only_this_user_reads_the_file_and_nobody_can_put_a_link_in_its_place(
    make: Make, tmp_path: Path, signer: Signer
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    first = make()
    first.path.unlink()
    first.path.symlink_to(elsewhere)
    path = make().path
    assert elsewhere.read_text() == "untouched"
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(tmp_path.iterdir()) == [elsewhere, path], "and no other file is left"


def test_clusters_of_one_name_have_files_of_their_own(make: Make, signer: Signer) -> None:
    other = Kubeconfig(CLUSTER._replace(url="https://192.0.2.2"), signer, signer.clock)
    try:
        assert other.path != make().path
    finally:
        other.close()


def test_a_folder_that_cannot_be_written_is_told(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match=r"outpost-kubeconfig-hpc-\w+ cannot be written: No such file or directory$"):
        make()
    assert os.listdir(tmp_path) == []
