"""Reads functions."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from local.template.deployment import FunctionResource, HttpRoute, QueueResource, QueueSource, ScheduleSource, Site
from local.template.events import read_queue_source, read_route, read_rule, read_schedule
from local.template.properties import Properties
from local.template.resources import FUNCTION, Resource, Resources

_READ = (
    "FunctionName",
    "Handler",
    "Runtime",
    "CodeUri",
    "PackageType",
    "Timeout",
    "MemorySize",
    "ReservedConcurrentExecutions",
    "Environment",
    "EventInvokeConfig",
    "FunctionUrlConfig",
    "Events",
    "LoggingConfig",
)
# Permissions, networks, labels, versions, and what only changes how fast something is or what it costs.
_IGNORED = (
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "AutoPublishCodeSha256",
    "CodeSigningConfigArn",
    "DeploymentPreference",
    "Description",
    "EphemeralStorage",
    "KmsKeyArn",
    "Layers",
    "PermissionsBoundary",
    "Policies",
    "PropagateTags",
    "ProvisionedConcurrencyConfig",
    "RecursiveLoop",
    "Role",
    "RolePath",
    "RuntimeManagementConfig",
    "SnapStart",
    "SourceKMSKeyArn",
    "Tags",
    "Tracing",
    "VersionDeletionPolicy",
    "VersionDescription",
    "VpcConfig",
)
_HANDLER = re.compile(r"[A-Za-z_]\w*([./][A-Za-z_]\w*)*\.[A-Za-z_]\w*", re.ASCII)
_RUNTIME = re.compile(r"python(\d+)\.(\d+)")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
_RESERVED = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV|AWS_LAMBDA_(FUNCTION_(NAME|MEMORY_SIZE|VERSION)"
    r"|INITIALIZATION_TYPE|LOG_(GROUP|STREAM)_NAME|RUNTIME_API)|AWS_ACCESS_KEY(_ID)?|AWS_SECRET_ACCESS_KEY"
    r"|AWS_SESSION_TOKEN|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR"
)


class FunctionReader:
    """Reads the functions of one template. Every method raises ``Wrong``."""

    def __init__(self, resources: Resources, queues: Mapping[str, QueueResource], path: Path, site: Site) -> None:
        """``path`` is the template's; code is found from there."""
        self._resources = resources
        self._queues = queues
        self._path = path
        self._site = site

    def read(self) -> dict[str, FunctionResource]:
        """All functions, in their order."""
        functions: dict[str, FunctionResource] = {}
        routes: dict[tuple[str, str], HttpRoute] = {}
        for logical_id, resource in self._resources.of_type(FUNCTION).items():
            function = self._function(resource)
            properties = self._resources.properties(resource)
            if same := next((other for other in functions.values() if other.name == function.name), None):
                raise properties.wrong("FunctionName", f"is {function.name!r}, as that of {same.logical_id}")
            for route in function.http_routes:
                other = routes.setdefault((route.api, route.key), route)
                if other is not route:
                    raise properties.wrong("Events", f"has the route {route.key}, as has {other.place}")
            functions[logical_id] = function
        return functions

    def _function(self, resource: Resource) -> FunctionResource:
        properties = self._resources.properties(resource)
        with self._resources.read_for(resource.logical_id):
            properties.allow(_READ, _IGNORED)
            properties.choice("PackageType", "Zip", ("Zip",))
            _check_log_format(properties)
            retry_attempts, max_event_age_seconds = _invoke_config(properties)
            function = FunctionResource(
                logical_id=resource.logical_id,
                name=self._resources.name(resource),
                handler=_handler(properties),
                runtime=_runtime(properties),
                code=self._code(properties),
                timeout=properties.integer("Timeout", 3, 1, 900),
                memory_mb=properties.integer("MemorySize", 128, 128, 10240),
                reserved_concurrency=properties.optional_integer("ReservedConcurrentExecutions", 0),
                retry_attempts=retry_attempts,
                max_event_age_seconds=max_event_age_seconds,
                has_url=_has_url(properties),
                place=f"{self._path}:{resource.line}",
                environment=_environment(properties),
            )
        return self._with_events(function, properties)

    def _code(self, properties: Properties) -> Path:
        uri = properties.text("CodeUri") or "."
        folder = (self._path.parent / uri).resolve()
        if "://" in uri or not folder.is_dir():
            raise properties.wrong("CodeUri", f"is {uri!r}, and must be a folder, from the template's folder")
        return folder

    def _with_events(self, function: FunctionResource, properties: Properties) -> FunctionResource:
        events = properties.group("Events")
        routes: list[HttpRoute] = []
        sources: list[QueueSource] = []
        schedules: list[ScheduleSource] = []
        for name, event in events.groups() if events else ():
            event.allow(("Type", "Properties"))
            kind = event.choice("Type", "", ("HttpApi", "SQS", "Schedule", "ScheduleV2"))
            read = event.group_or_empty("Properties", f"{function.logical_id}: {name}")
            logical_id, place = function.logical_id + name, f"{self._path}:{event.line}"
            if kind == "HttpApi":
                routes.append(read_route(self._resources, function.logical_id, read, place))
            elif kind == "SQS":
                source = read_queue_source(self._resources, logical_id, read, self._queues, place)
                self._check_visibility(function, source, read)
                sources.append(source)
            elif kind:
                reader = read_rule if kind == "Schedule" else read_schedule
                schedules.append(reader(self._resources, logical_id, read, self._site, place))
            else:
                raise event.wrong("Type", "must be set")
        return replace(function, http_routes=tuple(routes), queue_sources=tuple(sources), schedules=tuple(schedules))

    def _check_visibility(self, function: FunctionResource, source: QueueSource, event: Properties) -> None:
        pause = self._queues[source.queue].visibility_seconds
        if pause < function.timeout:
            message = f"names {source.queue}, whose VisibilityTimeout of {pause} s must not be below the function's"
            raise event.wrong("Queue", f"{message} Timeout of {function.timeout} s")


def _handler(properties: Properties) -> str:
    handler = properties.required("Handler", "package.module.function")
    if not _HANDLER.fullmatch(handler):
        raise properties.wrong("Handler", f"is {handler!r}, and must be package.module.function")
    return handler.replace("/", ".")


def _runtime(properties: Properties) -> str:
    """Code for an older Python than this one runs here, too."""
    here = sys.version_info[:2]
    runtime = properties.required("Runtime", f"python{here[0]}.{here[1]}")
    version = _RUNTIME.fullmatch(runtime)
    if version is None:
        raise properties.wrong("Runtime", f"is {runtime!r}, and must be a Python's, such as python{here[0]}.{here[1]}")
    wanted = int(version[1]), int(version[2])
    if wanted[0] != here[0] or wanted > here:
        message = f"is {runtime!r}, which the Python that runs this cannot stand in for: it is {here[0]}.{here[1]}"
        raise properties.wrong("Runtime", message)
    return runtime


def _invoke_config(properties: Properties) -> tuple[int, int]:
    config = properties.group("EventInvokeConfig")
    if config is None:
        return 2, 21600
    config.allow(("MaximumRetryAttempts", "MaximumEventAgeInSeconds"))
    return config.integer("MaximumRetryAttempts", 2, 0, 2), config.integer("MaximumEventAgeInSeconds", 21600, 60, 21600)


def _has_url(properties: Properties) -> bool:
    config = properties.group("FunctionUrlConfig")
    if config is None:
        return False
    config.allow(("AuthType", "InvokeMode"))
    config.required("AuthType", "NONE")
    config.choice("AuthType", "NONE", ("NONE",))
    config.choice("InvokeMode", "BUFFERED", ("BUFFERED",))
    return True


def _check_log_format(properties: Properties) -> None:
    """Where the log goes changes nothing here; the format would change what the runtime writes."""
    config = properties.group("LoggingConfig")
    if config is not None:
        config.allow(("LogFormat",), ("LogGroup",))
        config.choice("LogFormat", "Text", ("Text",))


def _environment(properties: Properties) -> dict[str, str]:
    environment = properties.group("Environment")
    if environment is None:
        return {}
    environment.allow(("Variables",))
    variables = environment.group("Variables")
    if variables is None:
        return {}
    found: dict[str, str] = {}
    for name in variables:
        if not _VARIABLE.fullmatch(name):
            raise variables.wrong(name, "must be a letter, followed by letters, digits and _")
        if _RESERVED.fullmatch(name):
            raise variables.wrong(name, "is set by Lambda itself; choose another name")
        found[name] = variables.text(name) or ""
    return found
