"""``make demo``: it comes up, can be worked with, goes on another day, and leaves nothing running."""

from __future__ import annotations

import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from local.demo import STATE
from local.emulator.options import read_options
from local.processes import HOST, MARK_VARIABLE, Process, clean_environment, end_marked, marked
from tests.e2e.hub import Hub, Server
from tests.e2e.kernel import BINARY
from tests.support.waiting import eventually

UP_SECONDS = 40
END_SECONDS = 40


class Demo:
    """``python -m local.demo`` with its state in a folder."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.state = folder / "state"
        command = [sys.executable, "-m", "local.demo", "--port", str(port), "--state", str(self.state)]
        env = clean_environment(mark="", commands=Path(sys.executable).parent)
        self.process = Process("demo", command, env, folder, folder / "demo.log")

    @property
    def mark(self) -> str:
        """What marks its processes."""
        return str(self.state.resolve())

    def start(self) -> tuple[str, str]:
        """Start it, and wait until it says where to log in, and with which password."""
        self.process.log.unlink(missing_ok=True)
        self.process.start()
        url, password = eventually(self._welcome, UP_SECONDS, "the demo says where to log in")
        return url, password

    def _welcome(self) -> tuple[str, ...]:
        assert self.process.running, self.process.log_tail()
        said = re.search(r"Log in +(\S+)\n.*password +(\S+)\n.*Ctrl-C", self.process.log.read_text(), re.DOTALL)
        return said.groups() if said else ()

    def exit_code(self) -> int | None:
        """What it ended with."""
        eventually(lambda: not self.process.running, END_SECONDS, f"the demo ends\n{self.process.log_tail()}")
        return self.process.exit_code


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo that is not started yet."""
    demo = Demo(tmp_path)
    try:
        yield demo
    finally:
        demo.process.kill()
        end_marked(demo.mark)


def test_the_demo_runs_code_and_ends_with_nothing_left(demo: Demo) -> None:
    """Also a second time with the same state, and then with a hub that dies."""
    url, password = demo.start()
    server = _logged_in(demo, url, password)
    assert "<title>JupyterLab</title>" in server.get("").text
    assert server.kernel().run("open('kept', 'w').write('6*7'); 6*7", BINARY) == "42"
    demo.process.signal(signal.SIGINT)
    assert demo.exit_code() == 0
    assert not marked(demo.mark)
    server.hub.close()

    again, same_password = demo.start()
    assert same_password == password
    server = _logged_in(demo, again, password)
    assert server.kernel().run("eval(open('kept').read())", BINARY) == "42"
    _hub_of(demo).kill()
    assert demo.exit_code() == 1
    assert "hub ended by itself" in demo.process.log.read_text()
    assert not marked(demo.mark)
    server.hub.close()


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    """With exit code 2, and nothing was started."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        demo = Demo(tmp_path, taken.getsockname()[1])
        demo.process.start()
        assert demo.exit_code() == 2
    assert re.fullmatch(r"outpost demo: port \d+ is in use; .*\n", demo.process.log.read_text())
    assert not marked(demo.mark)


def test_what_the_emulator_has_started_goes_on_when_the_demo_is_run_in_the_same_folder(tmp_path: Path) -> None:
    """Each has a state folder of its own; the demo ends at its start already what is left in its own."""
    environments = [{MARK_VARIABLE: str(tmp_path / state)} for state in (read_options([]).state, STATE)]
    servers, demos = (Process("sleep", ["sleep", "60"], env, tmp_path, tmp_path / "log") for env in environments)
    with socket.create_server((HOST, 0)) as taken:
        command = [sys.executable, "-m", "local.demo", "--port", str(taken.getsockname()[1])]
        demo = Process("demo", command, clean_environment("", Path(sys.executable).parent), tmp_path, tmp_path / "log")
        try:
            for each in (servers, demos, demo):
                each.start()
            eventually(lambda: not demo.running, END_SECONDS, "the demo ends")
            assert (servers.running, demos.running) == (True, False)
        finally:
            for each in (servers, demos, demo):
                each.kill()


def _logged_in(demo: Demo, url: str, password: str) -> Server:
    """Log in with the form as a browser does; the user's default server, running."""
    with httpx.Client(base_url=url, follow_redirects=True, timeout=30) as browser:
        browser.get("/hub/login")
        form = {"username": "ada", "password": password, "_xsrf": browser.cookies["_xsrf"]}
        assert browser.post("/hub/login", data=form, params={"next": "/hub/home"}).url.path == "/hub/home"
        headers = {"X-XSRFToken": browser.cookies["_xsrf"]}
        answer = browser.post("/hub/api/users/ada/tokens", headers=headers, json={"expires_in": 600})
    assert answer.is_success, answer.text
    return Server(Hub(url, answer.json()["token"]), "ada", "", demo.mark).start()


def _hub_of(demo: Demo) -> psutil.Process:
    return next(process for process in marked(demo.mark) if process.cmdline()[1:3] == ["-m", "jupyterhub"])
