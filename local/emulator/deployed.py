"""A deployment that runs: functions and all that invokes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from local.aws import deploy
from local.aws.async_events import AsyncEvents
from local.aws.fork_server import ForkServer
from local.aws.front import FrontEnd
from local.aws.function import Function
from local.aws.http_events import FUNCTION_URL, HTTP_API
from local.aws.instance import Definition
from local.aws.lambda_api import LambdaApi
from local.aws.records import Observer
from local.aws.routes import Route, Routes
from local.aws.runtime_api import Answer
from local.emulator.options import Ports
from local.template import Deployment, FunctionResource


class _Source(Protocol):
    """What invokes a function by itself."""

    def start(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Manner:
    """How functions are run."""

    environment: Callable[[FunctionResource], Mapping[str, str]]
    observer: Observer
    logs: Path
    """A folder, in which each function has a file."""
    cold: bool = False
    freeze: bool = True
    fork_server: ForkServer | None = None

    def function(self, resource: FunctionResource) -> Function:
        """A function that nothing invokes yet."""
        return Function(self.definition(resource), cold=self.cold, observer=self.observer)

    def definition(self, resource: FunctionResource) -> Definition:
        """What its instances are."""
        return deploy.definition(
            resource,
            log=self.logs / f"{resource.logical_id}.log",
            environment=self.environment(resource),
            freeze=self.freeze,
            fork_server=self.fork_server,
        )


def waited_for(deployment: Deployment) -> list[FunctionResource]:
    """The functions behind a URL or an API, unless they are switched off."""
    functions = [resource for resource in deployment.functions.values() if not resource.is_switched_off]
    return [resource for resource in functions if resource.has_url or resource.http_routes]


class Deployed:
    """Runs one deployment after the other. What is the same in the next one goes on."""

    def __init__(self, manner: Manner, ports: Ports, sqs: Any) -> None:
        """Nothing runs yet. ``sqs`` is a client."""
        self._manner = manner
        self._ports = ports
        self._sqs = sqs
        self._sources: dict[object, _Source] = {}
        self._names: dict[str, Function] = {}
        self._events: dict[Function, AsyncEvents] = {}
        self.functions: dict[str, Function] = {}
        """By logical id, as the front ends."""
        self.function_urls: dict[str, FrontEnd] = {}
        self.http_apis: dict[str, FrontEnd] = {}
        self.api = LambdaApi(self._names, self._events, ports.invoke)
        self.api.start()

    @property
    def busy(self) -> int:
        """How many events are being handled."""
        return sum(function.busy for function in self.functions.values())

    def deploy_functions(self, deployment: Deployment) -> None:
        """Have these functions; events under way end with the code that they began with."""
        gone = [self.functions.pop(logical_id) for logical_id in self.functions.keys() - deployment.functions.keys()]
        for logical_id, resource in deployment.functions.items():
            if function := self.functions.get(logical_id):
                function.redeploy(self._manner.definition(resource))
            else:
                function = self.functions[logical_id] = self._manner.function(resource)
                function.definition.log.unlink(missing_ok=True)  # of another day
                self._events[function] = AsyncEvents(function)
        names = {function.definition.name: function for function in self.functions.values()}
        self._names.update(names)
        for name in self._names.keys() - names.keys():
            del self._names[name]
        for function in gone:
            self._events.pop(function).close()
            function.close()

    def initialise(self, deployment: Deployment) -> dict[str, Answer]:
        """Bring up an instance of each function that people wait for; those that fail, with their errors."""
        names = [resource.logical_id for resource in waited_for(deployment)]
        with ThreadPoolExecutor() as pool:
            answers = pool.map(Function.initialise, [self.functions[name] for name in names])
            return {name: answer for name, answer in zip(names, answers, strict=True) if answer is not None}

    def invoke_by_events(self, deployment: Deployment) -> None:
        """Have them invoked by requests, messages and schedules."""
        self._deploy_front_ends(deployment)
        self._deploy_sources(deployment)

    def stop_sources(self) -> None:
        """From now on nothing is invoked but by callers."""
        for source in self._sources.values():
            source.close()
        self._sources.clear()

    def close(self) -> None:
        """End everything at once."""
        self.stop_sources()
        for front in (*self.function_urls.values(), *self.http_apis.values()):
            front.close()
        self.api.close()
        for function in self.functions.values():
            function.close()

    def _deploy_front_ends(self, deployment: Deployment) -> None:
        resources = deployment.functions
        urls = {
            logical_id: Routes([Route(self.functions[logical_id])])
            for logical_id, resource in resources.items()
            if resource.has_url
        }
        apis = {api: deploy.routes(api, resources.values(), self.functions) for api in deployment.http_apis}
        for running, wanted, kind, port in (
            (self.function_urls, urls, FUNCTION_URL, self._ports.url),
            (self.http_apis, apis, HTTP_API, self._ports.api),
        ):
            for gone in running.keys() - wanted.keys():
                running.pop(gone).close()
            for logical_id, routes in wanted.items():
                if logical_id in running:
                    running[logical_id].route(routes)
                else:
                    front = running[logical_id] = FrontEnd(routes, kind, 0 if running else port)
                    front.start()

    def _deploy_sources(self, deployment: Deployment) -> None:
        wanted: dict[object, Callable[[], _Source]] = {}
        for logical_id, resource in deployment.functions.items():
            function = self.functions[logical_id]
            for queue in resource.queue_sources:
                if queue.enabled:
                    url = deployment.queues[queue.queue].url
                    key: object = (logical_id, queue, url, function.definition.concurrency)
                    wanted[key] = partial(deploy.queue_mapping, queue, self._sqs, url, function)
            for schedule in resource.schedules:
                wanted[logical_id, schedule] = partial(deploy.schedule, schedule, self._events[function])
        for key in self._sources.keys() - wanted.keys():
            self._sources.pop(key).close()
        for key in wanted.keys() - self._sources.keys():
            source = self._sources[key] = wanted[key]()
            source.start()
