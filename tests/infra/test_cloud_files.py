"""Configuration files in S3: fetched at the start, looked at again now and then."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path

import pytest

from core.errors import ConfigError
from infra.cloud_files import CloudFiles
from infra.wiring_functions import FunctionOutpost, build_function
from tests.support.aws import Aws, calls_of
from tests.support.clock import Clock


def config(flavor: str) -> str:
    """A configuration file with one flavor."""
    return f"c.JupyterHubOutpost.flavors = {{{flavor!r}: {{'max': 1}}}}\n"


@pytest.fixture
def function(aws: Aws, clock: Clock, environ: MutableMapping[str, str]) -> FunctionOutpost:
    """A function whose configuration file stands in S3."""
    environ["OUTPOST_CONFIG_FILE"] = aws.put("files", "outpost/outpost_config.py", config("first"))
    environ["OUTPOST_QUEUE_URL"] = aws.queue()
    return build_function(clock)


def flavors(function: FunctionOutpost) -> set[str]:
    """The flavors in force, as an invocation sees them."""
    function.environment.refresh()
    return set(function.outpost.config().flavors)


def test_the_file_is_there_from_the_start(function: FunctionOutpost) -> None:
    assert flavors(function) == {"first"}


def test_a_changed_file_comes_into_force_after_a_minute(aws: Aws, function: FunctionOutpost, clock: Clock) -> None:
    aws.put("files", "outpost/outpost_config.py", config("second"))
    calls = calls_of("s3")
    clock.forward(seconds=59)
    assert flavors(function) == {"first"}
    assert calls == [], "an invocation costs nothing in between"
    clock.forward(seconds=1)
    assert flavors(function) == {"second"}
    assert len(calls) == 1


def test_a_file_that_has_not_changed_is_not_fetched_again(aws: Aws, function: FunctionOutpost, clock: Clock) -> None:
    copy = Path(str(function.environment.settings.config_path))
    before = copy.stat().st_mtime_ns
    calls = calls_of("s3")
    clock.forward(minutes=1)
    assert flavors(function) == {"first"}
    assert [call.params.keys() >= {"IfNoneMatch"} for call in calls] == [True]
    assert copy.stat().st_mtime_ns == before


@pytest.mark.parametrize("trouble", ["broken", "deleted"])
def test_without_a_usable_file_the_last_good_one_stays_in_force(
    aws: Aws, function: FunctionOutpost, clock: Clock, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    if trouble == "broken":
        aws.put("files", "outpost/outpost_config.py", "c.JupyterHubOutpost.flavors = (\n")
        said = "the changed configuration is not used: "
    else:
        aws.client("s3").delete_object(Bucket="files", Key="outpost/outpost_config.py")
        said = "s3://files/outpost/outpost_config.py cannot be read: NoSuchKey; the last copy stays in force"
    clock.forward(minutes=1)
    assert flavors(function) == {"first"}
    assert said in caplog.text
    assert (function.outpost.file_problems()["config"] is not None) == (trouble == "broken")
    aws.put("files", "outpost/outpost_config.py", config("third"))
    clock.forward(minutes=1)
    assert flavors(function) == {"third"}
    assert function.outpost.file_problems()["config"] is None


async def test_rules_for_flavors_may_stand_there_too(aws: Aws, clock: Clock, environ: MutableMapping[str, str]) -> None:
    environ["OUTPOST_FLAVORS_PATH"] = aws.put("files", "flavors.yaml", "flavors: {first: {max: 1}}\n")
    environ["OUTPOST_CREDITS_PATH"] = aws.put(
        "more-files", "a b/50%#?.yaml", "credits: {gold: {cap: 1, grant_value: 1, grant_interval: 60}}\n"
    )
    environ["OUTPOST_QUEUE_URL"] = aws.queue()
    function = build_function(clock)
    rules, credit_rules = function.outpost.flavor_file(), function.outpost.credit_file()
    assert rules is not None
    assert credit_rules is not None
    aws.put("files", "flavors.yaml", "flavors: {second: {max: 1}}\n")
    clock.forward(minutes=1)
    function.environment.refresh()
    changed = function.outpost.flavor_file()
    assert changed is not None
    assert changed != rules


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://", "s3:// must have the form s3://bucket/key"),
        ("s3://files", "s3://files must have the form s3://bucket/key"),
        ("s3://files/", "s3://files/ must have the form s3://bucket/key"),
        ("s3:///key", "s3:///key must have the form s3://bucket/key"),
        ("s3://no-such-bucket/x.py", "s3://no-such-bucket/x.py cannot be read: NoSuchBucket"),
        ("s3://files/no/such/key", "s3://files/no/such/key cannot be read: NoSuchKey"),
        ("s3://No_Bucket!/x", "s3://No_Bucket!/x cannot be read: Parameter validation failed"),
    ],
)
@pytest.mark.parametrize("variable", ["OUTPOST_CONFIG_FILE", "OUTPOST_FLAVORS_PATH", "OUTPOST_CREDITS_PATH"])
def test_a_file_that_cannot_be_had_is_named_at_the_start(
    aws: Aws, clock: Clock, variable: str, url: str, said: str
) -> None:
    aws.put("files", "outpost_config.py", "")
    with pytest.raises(ConfigError) as caught:
        CloudFiles({variable: url}, clock)
    assert str(caught.value).startswith(f"{variable}: {said}")
    assert "\n" not in str(caught.value)


def test_files_on_this_machine_stay_where_they_are(aws: Aws, clock: Clock) -> None:
    environ = {"OUTPOST_CONFIG_FILE": "/here/outpost_config.py"}
    calls = calls_of("s3")
    CloudFiles(environ, clock).refresh()
    assert environ == {"OUTPOST_CONFIG_FILE": "/here/outpost_config.py"}
    assert calls == []
