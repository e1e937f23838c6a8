"""JSON log lines: one object each, and no secret in them however it is escaped."""

from __future__ import annotations

import contextvars
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets.config import Config

from core import logs
from core.config import JupyterHubOutpost
from core.logs import JsonFormatter, request_id, service_logger
from core.redact import HIDDEN, hide

AWKWARD = [
    'sec"ret',
    "sec\nret",
    "sec\\ret",
    "se\tcret",
    "größtes Geheimnis",
    "日本の秘密です",
    "\x00secret",
    '{"token": "x"}',
    '", "level": "x',
]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What goes to stderr, as ``outpost_config.py`` has logs configured in a function."""
    root = logging.getLogger()
    handlers, level, stderr = root.handlers[:], root.level, io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    logs.configure(JupyterHubOutpost(log_level="DEBUG"), formatter=JsonFormatter())
    yield stderr
    root.handlers[:] = handlers
    root.setLevel(level)
    request_id.set("")


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    """All lines, each read on its own."""
    return [json.loads(line) for line in written.getvalue().split("\n") if line]


async def test_a_line_says_when_where_and_what_it_is_about(written: io.StringIO) -> None:
    request_id.set("request 1")
    service_logger("hub1/alice/0").warning("it took %d s\nand more", 7)
    logging.getLogger("elsewhere").info("no service")
    first, second = lines(written)
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "WARNING",
        "logger": "outpost",
        "message": "hub1/alice/0 - it took 7 s\nand more",
        "request_id": "request 1",
        "service": "hub1/alice/0",
    }
    assert second.keys() == {"time", "level", "logger", "message", "request_id"}


async def test_an_error_is_one_line_with_its_traceback(written: io.StringIO) -> None:
    try:
        raise ValueError("broken\nin two")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    (line,) = lines(written)
    assert line["message"] == "it failed"
    assert line["error"].startswith("Traceback (most recent call last)")
    assert line["error"].endswith("ValueError: broken\nin two")


@pytest.mark.parametrize("secret", AWKWARD)
async def test_a_secret_that_json_escapes_is_hidden(written: io.StringIO, secret: str) -> None:
    hide([secret])
    try:
        raise ValueError(f"<{secret}>")
    except ValueError:
        service_logger(f"hub/{secret}/0").exception("said <%s>", secret)
    (line,) = lines(written)
    assert line["message"] == f"hub/{HIDDEN}/0 - said <{HIDDEN}>"
    assert line["service"] == f"hub/{HIDDEN}/0"
    assert f"ValueError: <{HIDDEN}>" in line["error"]
    for escaped in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        assert escaped not in json.dumps([*line.values()], ensure_ascii=False).replace(HIDDEN, "")


@given(message=st.text(), secret=st.text(min_size=6))
def test_whatever_is_said_and_hidden_a_line_is_one_json_object(message: str, secret: str) -> None:
    def written() -> str:
        hide([secret])
        return JsonFormatter().format(logging.LogRecord("x", logging.INFO, "", 1, f"{message}{secret}", None, None))

    line = contextvars.copy_context().run(written)
    assert "\n" not in line
    assert secret not in json.loads(line)["message"].replace(HIDDEN, "\0")


async def test_loggers_that_a_library_has_disabled_are_heard_again(written: io.StringIO) -> None:
    silenced = logging.getLogger("silenced")
    silenced.disabled = True
    silenced.error("not heard")
    logs.enable_all()
    silenced.error("heard")
    assert [line["message"] for line in lines(written)] == ["heard"]


@pytest.mark.usefixtures("written")
async def test_the_level_of_the_configuration_brings_no_second_line_with_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """traitlets gives the logger of the class a handler of its own when a setting of logs changes."""
    hide(["the-secret"])
    logs.configure(JupyterHubOutpost(config=Config(JupyterHubOutpost={"log_level": "INFO"})), formatter=JsonFormatter())
    logging.getLogger("JupyterHubOutpost").info("said <the-secret>")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == f"said <{HIDDEN}>"


async def test_no_library_logs_what_aws_answered(written: io.StringIO) -> None:
    """botocore writes whole answers, secrets included, at DEBUG."""
    logging.getLogger("botocore.parsers").debug("Response body: the-secret-string")
    assert written.getvalue() == ""


async def test_handlers_of_the_operator_write_json_too(written: io.StringIO) -> None:
    extra = io.StringIO()
    handler = logging.StreamHandler(extra)
    for _ in range(2):  # a changed file configures again
        logs.configure(JupyterHubOutpost(extra_log_handlers=[handler]), formatter=JsonFormatter())
    hide(['"message": '])  # looks like JSON's own
    logging.getLogger("x").warning('"message": ')
    assert json.loads(extra.getvalue())["message"] == HIDDEN
