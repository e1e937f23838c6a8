"""Configuration files in Cloud Storage: fetched at the start, looked at again now and then."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import ConfigError
from infra.cloud_files import CloudFiles
from infra.wiring_functions import FunctionOutpost, build_function
from tests.support import google as google_support
from tests.support.clock import Clock
from tests.support.google import Google
from tests.support.waiting import eventually

PLACE = ("files", "outpost/a b/50%#?.py")
URL = "gs://files/outpost/a b/50%#?.py"


def config(flavor: str) -> bytes:
    """A configuration file with one flavor."""
    return f"c.JupyterHubOutpost.flavors = {{{flavor!r}: {{'max': 1}}}}\n".encode()


@pytest.fixture
def google(environ: MutableMapping[str, str], tmp_path: Path) -> Iterator[Google]:
    """A project with one object."""
    with google_support.server() as running:
        environ["OUTPOST_STORAGE_ENDPOINT_URL"] = running.url
        environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(running.key_file(tmp_path))
        running.objects[PLACE] = config("first")
        yield running


@pytest.fixture
def function(google: Google, clock: Clock, environ: MutableMapping[str, str]) -> FunctionOutpost:
    """A function whose configuration file is that object."""
    environ.update(OUTPOST_CONFIG_FILE=URL, OUTPOST_QUEUE_URL="http://127.0.0.1:1/1/worker")
    return build_function(clock)


def flavors(function: FunctionOutpost) -> set[str]:
    """The flavors in force, as an invocation sees them."""
    function.environment.refresh()
    return set(function.outpost.config().flavors)


def test_a_changed_file_comes_into_force_after_a_minute(
    google: Google, function: FunctionOutpost, clock: Clock
) -> None:
    assert flavors(function) == {"first"}
    google.objects[PLACE] = config("second")
    asked = len(google.seen)
    clock.forward(seconds=59)
    assert flavors(function) == {"first"}
    assert len(google.seen) == asked, "an invocation costs nothing in between"
    clock.forward(seconds=1)
    assert flavors(function) == {"second"}


def test_while_one_request_waits_for_storage_the_others_go_on_with_the_last_copies(
    google: Google, function: FunctionOutpost, clock: Clock
) -> None:
    google.objects[PLACE] = config("second")
    clock.forward(minutes=1)
    google.storage_answers.clear()
    asked = len(google.seen)
    with ThreadPoolExecutor(2) as threads:
        try:
            hanging = threads.submit(flavors, function)
            eventually(lambda: len(google.seen) > asked, what="storage is asked")
            assert threads.submit(flavors, function).result(4) == {"first"}
            assert not hanging.done()
        finally:
            google.storage_answers.set()
        assert hanging.result(10) == {"second"}
    assert flavors(function) == {"second"}


def test_a_file_that_has_not_changed_is_not_written_again(
    google: Google, function: FunctionOutpost, clock: Clock
) -> None:
    copy = Path(str(function.environment.settings.config_path))
    before = copy.stat().st_mtime_ns
    clock.forward(minutes=1)
    assert flavors(function) == {"first"}
    assert google.not_modified == 1
    assert copy.stat().st_mtime_ns == before


def test_without_the_file_the_last_copy_stays_in_force(
    google: Google, function: FunctionOutpost, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    del google.objects[PLACE]
    clock.forward(minutes=1)
    assert flavors(function) == {"first"}
    assert f"{URL} cannot be read: HTTP 404; the last copy stays in force" in caplog.text
    google.objects[PLACE] = config("third")
    clock.forward(minutes=1)
    assert flavors(function) == {"third"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gs://", "gs:// must have the form gs://bucket/key"),
        ("gs://files", "gs://files must have the form gs://bucket/key"),
        ("gs:///key", "gs:///key must have the form gs://bucket/key"),
        ("gs://files/no/such/key", "gs://files/no/such/key cannot be read: HTTP 404"),
        ("gs://other/x", "gs://other/x cannot be read: HTTP 404"),
    ],
)
@pytest.mark.parametrize("variable", ["OUTPOST_CONFIG_FILE", "OUTPOST_FLAVORS_PATH", "OUTPOST_CREDITS_PATH"])
def test_a_file_that_cannot_be_had_is_named_at_the_start(
    google: Google, clock: Clock, variable: str, url: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        CloudFiles({variable: url, "OUTPOST_STORAGE_ENDPOINT_URL": google.url}, clock)
    assert str(caught.value) == f"{variable}: {said}"


def test_a_missing_permission_is_named(google: Google, clock: Clock, environ: MutableMapping[str, str]) -> None:
    google.refuses = 403, {"error": {"code": 403, "message": "outpost@tests does not have storage.objects.get"}}
    environ["OUTPOST_CONFIG_FILE"] = URL
    with pytest.raises(ConfigError) as caught:
        CloudFiles(environ, clock)
    assert str(caught.value) == f"OUTPOST_CONFIG_FILE: {URL} cannot be read: HTTP 403"
