"""Reads a SAM template into what it deploys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from local.template.conditions import Conditions, check_rules
from local.template.deployment import Deployment, FunctionResource, HttpApi, Site, TemplateError
from local.template.document import Node, Wrong, read_document
from local.template.functions import FunctionReader
from local.template.intrinsics import Intrinsics
from local.template.merging import Globals
from local.template.parameters import Parameters, suggestion
from local.template.queues import read_queues
from local.template.resources import HTTP_API, IMPLICIT_API, ParameterScope, Resource, Resources

_TRANSFORM = "AWS::Serverless-2016-10-31"
_SECTIONS = (
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
)
# Names, labels and logs.
_IGNORED_OF_API = ("AccessLogSettings", "Description", "FailOnWarnings", "Name", "PropagateTags", "Tags")


def read_deployment(
    path: Path, parameters: Mapping[str, str], site: Site, defaults: Mapping[str, str] | None = None
) -> Deployment:
    """What the template at ``path`` deploys with these parameters, as SAM and CloudFormation would have it.

    ``defaults`` are values of parameters where there are such parameters and they are not given.
    Only what is needed is resolved, so a parameter without a default may be missing if nothing here needs it.
    Raises ``TemplateError``, with the line, for everything that is wrong, and for whatever is not supported.
    """
    try:
        return _read(path, parameters, site, defaults or {})
    except Wrong as wrong:
        raise TemplateError(f"{path}:{wrong.line}: {wrong}") from None


def _read(path: Path, given: Mapping[str, str], site: Site, defaults: Mapping[str, str]) -> Deployment:
    sections = read_document(path).mapping("a template")
    _check_sections(sections)
    declared = sections["Parameters"].mapping("Parameters") if "Parameters" in sections else {}
    known = {name: value for name, value in defaults.items() if name in declared}
    parameters = Parameters(sections.get("Parameters"), {**known, **given})
    scope = ParameterScope(parameters, sections.get("Mappings"), site)
    conditions = Conditions(sections.get("Conditions"), Intrinsics(scope))
    check_rules(sections.get("Rules"), conditions)
    resources = Resources(
        sections["Resources"].mapping("Resources"),
        Globals(sections.get("Globals")),
        conditions,
        parameters,
        sections.get("Mappings"),
        site,
    )
    queues = read_queues(resources, str(path))
    functions = FunctionReader(resources, queues, path, site).read()
    apis = _http_apis(resources, functions, str(path))
    resources.check_circles()
    return Deployment(functions, queues, apis)


def _check_sections(sections: Mapping[str, Node]) -> None:
    for name, node in sections.items():
        if name not in _SECTIONS:
            raise Wrong(node.line, f"a template has no section {name}{suggestion(name, _SECTIONS)}")
    if "Resources" not in sections:
        raise Wrong(1, "a template must have Resources")
    if "Transform" not in sections:
        raise Wrong(1, f"a template must have 'Transform: {_TRANSFORM}'")
    transform = sections["Transform"]
    for item in transform.value if isinstance(transform.value, list) else [transform]:
        if item.value != _TRANSFORM:
            raise Wrong(item.line, f"the transform {item.value} is not supported; {_TRANSFORM} is")


def _http_apis(resources: Resources, functions: Mapping[str, FunctionResource], file: str) -> dict[str, HttpApi]:
    """Those of the template, and the one that SAM adds for events that name none."""
    apis = {name: _http_api(resources, resource, file) for name, resource in resources.of_type(HTTP_API).items()}
    routes = (route for function in functions.values() for route in function.http_routes)
    implicit = next((route for route in routes if route.api == IMPLICIT_API), None)
    if implicit is not None and IMPLICIT_API not in apis:
        made = resources.implicit_api(int(implicit.place.rpartition(":")[2]))
        apis[IMPLICIT_API] = _http_api(resources, made, file)
    return apis


def _http_api(resources: Resources, resource: Resource, file: str) -> HttpApi:
    properties = resources.properties(resource)
    with resources.read_for(resource.logical_id):
        properties.allow(("StageName", "DisableExecuteApiEndpoint"), _IGNORED_OF_API)
        properties.choice("StageName", "$default", ("$default",))
        if properties.flag("DisableExecuteApiEndpoint", False):
            raise properties.wrong("DisableExecuteApiEndpoint", "is not supported; leave it out")
    return HttpApi(resource.logical_id, resources.api_id(resource.logical_id), f"{file}:{resource.line}")
