"""One run of the emulator, from its start to its end."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack

import psutil

from local.aws.fork_server import ForkServer
from local.emulator import welcome
from local.emulator.account import Account
from local.emulator.deployed import Deployed, Manner
from local.emulator.deploying import Deployer
from local.emulator.environment import Environment
from local.emulator.errors import EmulatorError
from local.emulator.options import Options
from local.emulator.ports import listen
from local.emulator.report import Report
from local.emulator.running import Running, forget
from local.emulator.watch import Watch, forget_compiled, watched
from local.state import State
from local.template import Deployment

_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 20.0
"""For events under way at the end: starts and stops of servers among them."""
_PAUSE_SECONDS = 0.05

LIBRARIES = (
    "boto3",
    "cryptography.fernet",
    "fastapi",
    "jupyterhub.objects",
    "jupyterhub.spawner",
    "mangum",
    "psutil",
    "sqlalchemy.dialects.postgresql.pg8000",
    "sqlalchemy.dialects.sqlite",
    "tornado.simple_httpclient",
    "traitlets.config",
    "yaml",
)
"""What takes Outpost's functions longest to import; with ``--cold`` it is there already."""


class Emulator:
    """Runs in a state folder that no other one uses."""

    def __init__(self, options: Options, state: State, report: Report) -> None:
        self._options = options
        self._state = state
        self._report = report
        self._asked = 0
        self._asked_to_end = threading.Event()
        self._interruptible = True
        """Nothing runs yet that would have to be wound down."""

    def run(self) -> int:
        """Until a signal asks for the end. Raises ``EmulatorError`` for what cannot be run."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)
        with ExitStack() as end:
            account = Account(end.enter_context(listen(self._options.ports)))
            end.callback(account.close)
            environment = Environment(self._options, self._state, account.environment)
            manner = self._manner(environment, end)
            deployer = Deployer(self._options, account, environment, manner, self._report)
            deployment = deployer.read()
            watch = self._watch(deployment, manner) if self._options.reload else None
            deployed = Deployed(manner, self._options.ports, account.client("sqs"))
            end.callback(deployed.close)
            deployer.start(deployment, deployed)
            end.callback(forget, self._state)
            self._interruptible = False
            self._welcome(deployment, deployed, account)
            while not self._asked_to_end.wait(_LOOK_SECONDS):
                if watch and (changed := watch.changed()):
                    self._report.say(f"Changed: {', '.join(changed)}")
                    forget_compiled(changed)
                    watch = self._reload(deployer, deployed, manner) or watch
            self._wind_down(deployed)
        return 0

    def _ask(self, *_: object) -> None:
        self._asked += 1
        self._asked_to_end.set()
        if self._interruptible:
            self._interruptible = False
            raise KeyboardInterrupt

    def _manner(self, environment: Environment, end: ExitStack) -> Manner:
        fork_server = None
        if self._options.cold:
            fork_server = ForkServer(LIBRARIES)
            end.callback(fork_server.close)
        return Manner(
            environment=environment.of,
            observer=self._report.invocation,
            logs=self._state.logs,
            cold=self._options.cold,
            freeze=self._options.freeze,
            fork_server=fork_server,
        )

    def _watch(self, deployment: Deployment, manner: Manner) -> Watch:
        return Watch(watched(self._options.template, deployment, manner.environment))

    def _reload(self, deployer: Deployer, deployed: Deployed, manner: Manner) -> Watch | None:
        """What is to be watched from now on; None when it is not run, and what ran before goes on."""
        try:
            deployment = deployer.read()
            watch = self._watch(deployment, manner)
            deployer.replace(deployment, deployed)
        except (EmulatorError, OSError) as error:
            self._report.trouble(f"not reloaded: {error}")
            return None
        Running.of(deployment, deployed.api.url).write(self._state)
        self._report.facts("reloaded", {"functions": list(deployment.functions)}, "Reloaded.")
        return watch

    def _welcome(self, deployment: Deployment, deployed: Deployed, account: Account) -> None:
        Running.of(deployment, deployed.api.url).write(self._state)
        seconds = time.time() - psutil.Process().create_time()
        urls = welcome.Urls(
            {name: front.url for name, front in deployed.function_urls.items()},
            {name: front.url for name, front in deployed.http_apis.items()},
            deployed.api.url,
            account.site.endpoint_url,
        )
        facts = welcome.facts(urls, self._state, seconds, list(deployment.functions))
        self._report.facts("ready", facts, welcome.text(urls, self._state, seconds))

    def _wind_down(self, deployed: Deployed) -> None:
        """Let events under way end, which may be starts of servers. Asked again: at once."""
        deployed.stop_sources()
        deadline = time.monotonic() + _GRACE_SECONDS
        if deployed.busy:
            self._report.say(f"Waiting for {deployed.busy} events under way; Ctrl-C ends them at once")
        while deployed.busy and time.monotonic() < deadline and self._asked <= 1:
            time.sleep(_PAUSE_SECONDS)
        self._report.say("Stopped. Servers go on; what is kept is in " + str(self._state.folder))
