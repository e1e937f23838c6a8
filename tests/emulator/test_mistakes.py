"""Whatever cannot be run is one line that says what is wrong, with exit code 2."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from local.processes import HOST
from local.state import State
from tests.emulator.conftest import Start
from tests.support.emulator import FREE_PORTS, run


def refused(*arguments: str, cwd: Path | None = None) -> str:
    """The one line that these arguments are answered with."""
    ended = run(*arguments, cwd=cwd)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("outpost: ")
    return line


def refused_app(app: Path, *arguments: str) -> str:
    """The same of the application."""
    return refused(*FREE_PORTS, "--template", str(app), "--state", str(app.parent / "state"), *arguments)


def change(file: Path, old: str, new: str) -> None:
    """Change a file in one place."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--wings"], "--wings"),
        (["--url-port", "70000"], "'70000' is no port"),
        (["--url-port", "3000"], "port 3000 is asked for twice"),
        (["--parameter", "Greeting"], "--parameter: 'Greeting' is not NAME=VALUE"),
        (["--parameter", "Greting=Hi"], "there is no parameter Greting; did you mean Greeting?"),
        (["--env-vars", "nowhere.json"], "nowhere.json cannot be read: No such file"),
        (["--template", "nowhere.yaml"], "nowhere.yaml:1: the template cannot be read"),
        (["--tick", "Ticker"], "no emulator runs with the state folder"),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(app: Path, arguments: list[str], said: str) -> None:
    arguments = ["--api-port", "3000", *arguments] if "3000" in arguments else arguments
    assert said in refused_app(app, *arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"is no JSON: .*line 1"),
        ("[]", r"must be an object such as"),
        ('{"Greeter": {"A": ["B"]}}', r"Greeter must be an object of variables"),
        ('{"Greter": {"A": "B"}}', r"'Greter' is none of Parameters, Greeter, Worker, Ticker"),
    ],
)
def test_variables_that_cannot_be_read_are_named_with_their_file(app: Path, text: str, said: str) -> None:
    file = app.with_name("variables.json")
    file.write_text(text)
    assert re.search(f"--env-vars: {file}:? {said}", refused_app(app, "--env-vars", str(file)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"is no JSON: .*line 1"),
        ("[]", r"must be an object such as"),
        ('{"mail": 7}', r"mail must be an object of variables, each of them a text, or a text"),
        ('{"mail": {"A": ["hidden"]}}', r"mail must be an object of variables"),
    ],
)
def test_secrets_that_cannot_be_read_are_named_with_their_file(app: Path, text: str, said: str) -> None:
    file = app.with_name("secrets.json")
    file.write_text(text)
    line = refused_app(app, "--secrets", str(file))
    assert re.search(f"--secrets: {file}:? {said}", line)
    assert "hidden" not in line


@pytest.mark.parametrize("name", ["api", "invoke", "url", "aws"])
def test_a_port_in_use_is_named_with_the_option_that_chooses_another(app: Path, name: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused_app(app, f"--{name}-port", port)
    assert f"port {port} is in use; choose another one with --{name}-port" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("app.greet", "ap.greet", r"template.yaml:\d+: Greeter: Handler: 'ap.greet' .* no module 'ap'"),
        ("app.greet", "app.gret", r"template.yaml:\d+: Greeter: Handler: 'app.gret' .*app.py has no 'gret'"),
        ("app.greet", "greet", r"template.yaml:\d+: .*greet"),
        ("MemorySize: 256", "MemorySise: 256", r"template.yaml:\d+: .*MemorySise"),
        ("rate(1 day)", "rate(1 second)", r"template.yaml:\d+: .*rate\(1 second\)"),
    ],
)
def test_a_mistake_in_the_template_is_told_with_its_line(app: Path, old: str, new: str, said: str) -> None:
    change(app, old, new)
    assert re.search(said, refused_app(app))


def test_code_that_is_no_python_is_named(app: Path) -> None:
    change(app.with_name("app.py"), "VERSION = 1", "VERSION = = 1")
    assert re.search(r"'app.greet' cannot be imported: invalid syntax \(app.py, line \d+\)", refused_app(app))


def test_code_that_cannot_be_imported_is_told_with_its_reason(app: Path) -> None:
    """As the instance itself tells it."""
    change(app.with_name("app.py"), "VERSION = 1", "import no_such_package")
    assert re.search(r"Greeter failed: .*No module named 'no_such_package'", refused_app(app))


@pytest.mark.parametrize("version", ["0", "2", "something else\n"])
def test_a_state_folder_of_another_version_is_not_touched(app: Path, version: str) -> None:
    folder = app.parent / "state"
    folder.mkdir()
    (folder / "version").write_text(version)
    said = refused_app(app)
    assert re.search(r"state folder of version '.*', and this is version '1': remove it, or .*--state", said)
    assert os.listdir(folder) == ["version"]


def test_a_folder_that_holds_something_else_is_not_touched(app: Path) -> None:
    folder = app.parent / "state"
    folder.mkdir(mode=0o755)
    (folder / "thesis.tex").touch()
    assert "is no state folder, but holds other things" in refused_app(app)
    assert os.listdir(folder) == ["thesis.tex"]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_folder_of_the_first_demo_is_used_on(tmp_path: Path) -> None:
    """It has no version, and the same in it."""
    before = State(tmp_path / "state")
    (before.folder / "version").unlink()
    after = State(tmp_path / "state")
    assert after.secrets == before.secrets
    assert (after.folder / "version").exists()


def test_one_state_folder_is_for_one_emulator(app: Path, emulator: Start) -> None:
    running = emulator(app).start()
    said = refused(*FREE_PORTS, "--template", str(app), "--state", str(running.state))
    assert said == f"outpost: {running.state} is in use by another emulator"
    assert running.invoke("Greeter")["greeting"] == "Hello"


def test_a_tick_of_a_function_without_a_schedule_names_those_that_have_one(app: Path, emulator: Start) -> None:
    ended = emulator(app).start().tick("Greeter")
    assert ended.returncode == 2
    assert ended.stderr == "outpost: --tick: 'Greeter' is no function with a schedule; those are: Ticker\n"
