"""``--reload``: what changes is taken over; what cannot be run is not, and is told."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from local.processes import HOST, free_ports
from tests.emulator.conftest import Start
from tests.emulator.test_mistakes import change
from tests.emulator.test_running import client
from tests.support.emulator import Emulator
from tests.support.waiting import eventually

ANOTHER = """
  Another:
    Type: AWS::Serverless::Function
    Properties:
      Handler: app.greet
      FunctionUrlConfig:
        AuthType: NONE
      Events:
        Often:
          Type: Schedule
          Properties:
            Schedule: rate(1 day)

  Worker:
"""


@pytest.fixture
def running(app: Path, emulator: Start) -> Emulator:
    """The application, running, with an eye on its files."""
    return emulator(app, "--reload").start()


def reloaded(running: Emulator, times: int = 1) -> None:
    """Wait until changes have been taken over so often."""
    eventually(lambda: len(running.events("reloaded")) == times, 30, f"reloaded {times} times")


def test_warm_instances_end_after_their_event_and_new_ones_have_the_new_code(app: Path, running: Emulator) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(running.invoke, "Greeter", {"sleep": 4, "note": str(app.with_name("note"))})
        eventually(app.with_name("note").exists, what="the event is under way")
        change(app.with_name("app.py"), "VERSION = 1", "VERSION = 2")
        reloaded(running)
        assert running.invoke("Greeter")["version"] == 2
        assert not slow.done()
        before = slow.result()
    assert before["version"] == 1
    eventually(lambda: before["pid"] not in psutil.pids(), what="its instance has ended")
    assert running.invoke("Greeter")["version"] == 2


def test_a_module_beside_the_handler_is_taken_over(app: Path, emulator: Start) -> None:
    change(app.with_name("app.py"), "VERSION = 1", "from helper import VERSION")
    app.with_name("helper.py").write_text("VERSION = 1")
    running = emulator(app, "--reload").start()
    assert running.invoke("Greeter")["version"] == 1
    change(app.with_name("helper.py"), "1", "2")
    reloaded(running)
    assert running.invoke("Greeter")["version"] == 2


def test_files_that_the_environment_names_are_watched_and_modules_beside_a_configuration_file(
    tmp_path: Path, app: Path, emulator: Start
) -> None:
    """Under ``/var/task``, which is the code's folder, and elsewhere."""
    variables = {"RULES": "/var/task/data/rules.yaml", "OUTPOST_CONFIG_FILE": str(tmp_path / "etc" / "config.py")}
    change(
        app,
        "        GREETING:",
        "".join(f"        {name}: {variables[name]}\n" for name in variables) + "        GREETING:",
    )
    files = [app.parent / "data" / "rules.yaml", *(tmp_path / "etc" / name for name in ("config.py", "spawner.py"))]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    running = emulator(app, "--reload").start()
    for times, file in enumerate(files, 1):
        file.write_text("# changed")
        reloaded(running, times)
        assert running.events("message")[-1]["text"] == f"Changed: {file}"


def test_functions_come_and_go_with_the_template(app: Path, running: Emulator) -> None:
    change(app, "\n  Worker:\n", ANOTHER)
    reloaded(running)
    assert running.invoke("Another")["greeting"] == "Hello"
    assert running.tick("Another").returncode == 0
    change(app, ANOTHER, "\n  Worker:\n")
    reloaded(running, 2)
    assert running.call("Another").status_code == 404
    assert running.invoke("Greeter")["greeting"] == "Hello"


def test_a_function_can_be_switched_off_and_on_again(app: Path, running: Emulator) -> None:
    off = "Handler: app.greet\n      ReservedConcurrentExecutions: 0\n"
    change(app, "Handler: app.greet\n", off)
    reloaded(running)
    assert running.call("Greeter").status_code == 429
    change(app, off, "Handler: app.greet\n")
    reloaded(running, 2)
    assert running.invoke("Greeter")["greeting"] == "Hello"


def test_a_queue_is_handled_by_as_many_instances_as_there_may_be_now(app: Path, running: Emulator) -> None:
    reserved = "ReservedConcurrentExecutions: {}\n      Timeout: 20\n"
    change(app, "VisibilityTimeout: 3\n", "VisibilityTimeout: 60\n")
    change(app, "Timeout: 3\n", reserved.format(1))
    reloaded(running)
    change(app, reserved.format(1), reserved.format(2))
    reloaded(running, 2)
    sqs = client(running, "sqs")
    (jobs,) = (url for url in sqs.list_queues()["QueueUrls"] if "Dead" not in url)
    sqs.send_message(QueueUrl=jobs, MessageBody="wait")
    eventually(app.with_name("began").exists, what="the first message is under way")
    sqs.send_message(QueueUrl=jobs, MessageBody="quick")
    (invoked,) = eventually(lambda: running.invocations("Worker"), 15, "the second message is handled")
    assert invoked["status"] == "success"
    app.with_name("go").touch()


@pytest.mark.parametrize("name", ["renamed", "Worker"], ids=["a new name", "another function's name"])
def test_functions_with_other_names_are_there_under_those_and_no_longer_under_the_old_ones(
    app: Path, running: Emulator, name: str
) -> None:
    text = app.read_text()
    for new, handler in ((name, "tick"), ("Other", "work")):
        text = text.replace(
            f"      Handler: app.{handler}\n", f"      FunctionName: {new}\n      Handler: app.{handler}\n"
        )
    app.write_text(text)
    reloaded(running)
    assert running.invoke(name, {"n": 1}) == {"n": 1}
    assert running.invoke("Other", {"Records": []}) == {"batchItemFailures": []}
    assert running.call(name, kind="Event").status_code == 202
    eventually(lambda: [each for each in running.invocations(name) if each["source"] == "async"], what="the event")
    assert running.tick("Ticker").returncode == 0
    for kind in ("RequestResponse", "Event"):
        assert running.call("Ticker", kind=kind).status_code == 404


def test_a_port_that_another_has_taken_meanwhile_is_told_and_what_ran_goes_on(app: Path, emulator: Start) -> None:
    """GIVEN a template without a Function URL WHEN one is added THEN its port is in use."""
    url = "      FunctionUrlConfig:\n        AuthType: NONE\n"
    change(app, url, "")
    (port,) = free_ports(1)
    running = emulator(app, "--reload", "--url-port", str(port)).start()
    with socket.create_server((HOST, port)):
        change(app, "      Handler: app.greet\n", f"      Handler: app.greet\n{url}")
        error = eventually(lambda: running.events("error"), 30, "it is told")
    assert error[0]["text"].startswith("not reloaded: ")
    assert str(port) in error[0]["text"]
    assert running.invoke("Greeter")["greeting"] == "Hello"
    change(app.with_name("app.py"), "VERSION = 1", "VERSION = 2")
    reloaded(running)
    assert httpx.get(f"http://{HOST}:{port}").json()["version"] == 2


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("template.yaml", "Globals:", "Globules:", "Globules"),
        ("app.py", "def greet", "def grete", "has no 'greet'"),
        ("app.py", "VERSION = 1", "import no_such_package", "No module named 'no_such_package'"),
    ],
)
def test_what_cannot_be_run_is_told_and_what_ran_goes_on(
    app: Path, running: Emulator, file: str, old: str, new: str, said: str
) -> None:
    pid = running.invoke("Greeter")["pid"]
    change(app.with_name(file), old, new)
    error = eventually(lambda: running.events("error"), 30, "it is told")
    assert error[0]["text"].startswith("not reloaded: ")
    assert said in error[0]["text"]
    assert running.invoke("Greeter")["pid"] == pid
    change(app.with_name(file), new, old)
    reloaded(running)
    assert running.invoke("Greeter")["pid"] != pid
