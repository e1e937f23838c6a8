"""The resources that exist, what they are called, and what depends on what."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from local.template.conditions import Conditions
from local.template.deployment import Site
from local.template.document import Node, Wrong
from local.template.intrinsics import Intrinsics
from local.template.merging import Globals
from local.template.parameters import Parameters, suggestion
from local.template.properties import Properties

FUNCTION = "AWS::Serverless::Function"
HTTP_API = "AWS::Serverless::HttpApi"
QUEUE = "AWS::SQS::Queue"
IMPLICIT_API = "ServerlessHttpApi"

# What changes nothing of how functions run on one machine: permissions, logs, alarms, and layers, which are installed.
IGNORED = (
    "AWS::ApplicationInsights::",
    "AWS::Budgets::",
    "AWS::CloudFormation::WaitConditionHandle",
    "AWS::CloudWatch::",
    "AWS::EC2::SecurityGroup",
    "AWS::IAM::",
    "AWS::KMS::",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::",
    "AWS::SQS::QueuePolicy",
    "AWS::Serverless::LayerVersion",
)
_ATTRIBUTES = (
    "Type",
    "Properties",
    "Condition",
    "Metadata",
    "DependsOn",
    "DeletionPolicy",
    "UpdateReplacePolicy",
    "UpdatePolicy",
    "CreationPolicy",
    "IgnoreGlobals",
)
_NAME_PROPERTY = {
    FUNCTION: ("FunctionName", re.compile(r"[A-Za-z0-9_-]{1,64}"), "1 to 64 letters, digits, - and _"),
    QUEUE: ("QueueName", re.compile(r"[A-Za-z0-9_-]{1,80}"), "1 to 80 letters, digits, - and _ (no FIFO queue)"),
}


@dataclass(frozen=True)
class Resource:
    """One that exists with these parameters; Globals are among its properties."""

    logical_id: str
    type: str
    properties: Node
    line: int


class ParameterScope:
    """Names in conditions and rules: parameters and pseudo parameters."""

    def __init__(self, parameters: Parameters, mappings: Node | None, site: Site) -> None:
        """Nothing is looked up yet."""
        self._parameters = parameters
        self._mappings = mappings.mapping("Mappings") if mappings else {}
        self._site = site
        self._pseudo: dict[str, Any] = {
            "AWS::AccountId": site.account,
            "AWS::NotificationARNs": [],
            "AWS::NoValue": None,
            "AWS::Partition": site.partition,
            "AWS::Region": site.region,
            "AWS::StackId": site.arn("cloudformation", f"stack/{site.stack_name}/00000000-0000-0000-0000-000000000000"),
            "AWS::StackName": site.stack_name,
            "AWS::URLSuffix": "amazonaws.com.cn" if site.partition == "aws-cn" else "amazonaws.com",
        }

    def ref(self, name: str, line: int) -> Any:
        """The value of a parameter."""
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            return self._parameters.value(name)
        known = [*self._pseudo, *self._parameters.names(), *self._others()]
        raise Wrong(line, f"Ref: there is no {self._kind} {name}{suggestion(name, known)}")

    _kind = "parameter"

    def _others(self) -> list[str]:
        return []

    def attribute(self, name: str, attribute: str, line: int) -> str:
        """Parameters have none."""
        raise Wrong(line, f"Fn::GetAtt {name}.{attribute}: conditions and rules know parameters only")

    def condition(self, name: str, line: int) -> bool:
        """Only resources depend on conditions."""
        raise Wrong(line, f"Fn::If {name}: conditions and rules may not use Fn::If")

    def mapped(self, name: str, key: str, second_key: str, line: int) -> Node:
        """What stands in Mappings."""
        node = Node(self._mappings, line)
        for part in (name, key, second_key):
            entries = node.mapping(f"Mappings: {name}")
            if part not in entries:
                raise Wrong(
                    line, f"Fn::FindInMap: {name}/{key}/{second_key} is not in Mappings{suggestion(part, entries)}"
                )
            node = entries[part]
        return node


class Resources(ParameterScope):
    """The scope of resources' properties: they can name each other, too."""

    _kind = "parameter or resource"

    def __init__(
        self,
        section: Mapping[str, Node],
        merge: Globals,
        conditions: Conditions,
        parameters: Parameters,
        mappings: Node | None,
        site: Site,
    ) -> None:
        """Raises ``Wrong`` for a resource that cannot be run on one machine."""
        super().__init__(parameters, mappings, site)
        self._section = section
        self._merge = merge
        self._conditions = conditions
        self.intrinsics = Intrinsics(self)
        self._naming: list[str] = []
        self._owner: str | None = None
        self._needs: dict[str, dict[str, int]] = {}
        found = (self._resource(name, node) for name, node in section.items())
        self._resources = {resource.logical_id: resource for resource in found if resource is not None}

    def of_type(self, resource_type: str) -> dict[str, Resource]:
        """By logical id."""
        return {name: resource for name, resource in self._resources.items() if resource.type == resource_type}

    def properties(self, resource: Resource) -> Properties:
        """Of a resource."""
        return Properties(resource.logical_id, resource.properties, self.intrinsics)

    def name(self, resource: Resource) -> str:
        """Of a function or a queue. CloudFormation would append something random to one that it makes up."""
        what, pattern, right = _NAME_PROPERTY[resource.type]
        if resource.logical_id in self._naming:
            line = resource.properties.mapping(what)[what].line
            raise Wrong(line, f"names depend on each other: {' -> '.join([*self._naming, resource.logical_id])}")
        self._naming.append(resource.logical_id)
        properties = self.properties(resource)
        with self.read_for(resource.logical_id):
            name = properties.text(what)
        self._naming.pop()
        if name is None:
            return resource.logical_id if resource.type == FUNCTION else self.made_up(resource.logical_id)[:80]
        if not pattern.fullmatch(name):
            raise properties.wrong(what, f"is {name!r}, and must be {right}")
        return name

    def made_up(self, logical_id: str) -> str:
        """The name of what has none."""
        return f"{self._site.stack_name}-{logical_id}"

    def api_id(self, logical_id: str) -> str:
        """Ten characters that an HTTP API always gets in this stack."""
        return hashlib.sha256(f"{self._site.stack_name}/{logical_id}".encode()).hexdigest()[:10]

    def implicit_api(self, line: int) -> Resource:
        """The HTTP API that SAM makes for an event that names none; Globals hold for it, too."""
        return Resource(IMPLICIT_API, HTTP_API, self._merge.merged(HTTP_API, Node({}, line)), line)

    def queue_arn(self, queue: Resource) -> str:
        """Of a queue."""
        return self._site.arn("sqs", self.name(queue))

    def queue_url(self, queue: Resource) -> str:
        """Of a queue, below the endpoint."""
        return f"{self._site.endpoint_url.rstrip('/')}/{self._site.account}/{self.name(queue)}"

    def queue_with(self, arn: str) -> str | None:
        """The logical id of the queue with that ARN."""
        return next((name for name, queue in self.of_type(QUEUE).items() if self.queue_arn(queue) == arn), None)

    def condition(self, name: str, line: int) -> bool:
        """Does it hold?"""
        return self._conditions.holds(name, line)

    def ref(self, name: str, line: int) -> Any:
        """The value of a parameter or of a resource."""
        if name not in self._section:
            return super().ref(name, line)
        resource = self._find("Ref", name, line)
        if resource.type == QUEUE:
            return self.queue_url(resource)
        if resource.type == FUNCTION:
            return self.name(resource)
        if resource.type == HTTP_API:
            return self.api_id(name)
        raise Wrong(line, f"Ref {name}: nothing of type {resource.type} is made on this machine, so it has no value")

    def attribute(self, name: str, attribute: str, line: int) -> str:
        """Of a resource."""
        if name not in self._section:
            raise Wrong(line, f"Fn::GetAtt: there is no resource {name}{suggestion(name, self._section)}")
        resource = self._find("Fn::GetAtt", name, line)
        known: dict[str, Any] = {}
        if resource.type == QUEUE:
            known = {"Arn": self.queue_arn, "QueueName": self.name, "QueueUrl": self.queue_url}
        elif resource.type == FUNCTION:
            known = {"Arn": lambda function: self._site.arn("lambda", f"function:{self.name(function)}")}
        if attribute not in known:
            right = f", but {', '.join(known)}" if known else ""
            raise Wrong(line, f"Fn::GetAtt: {name} ({resource.type}) has no {attribute} on this machine{right}")
        value: str = known[attribute](resource)
        return value

    @contextmanager
    def read_for(self, owner: str) -> Iterator[None]:
        """What is named within is needed by ``owner``."""
        self._owner, before = owner, self._owner
        yield
        self._owner = before

    def need(self, owner: str, name: str, line: int) -> None:
        """``owner`` cannot be made before ``name``."""
        self._needs.setdefault(owner, {}).setdefault(name, line)

    def check_circles(self) -> None:
        """Raises ``Wrong`` if resources need each other."""
        done: set[str] = set()

        def follow(name: str, path: list[str]) -> None:
            for needed, line in self._needs.get(name, {}).items():
                if needed in path:
                    circle = " -> ".join([*path[path.index(needed) :], needed])
                    raise Wrong(line, f"circular dependency: {circle}")
                if needed not in done:
                    follow(needed, [*path, needed])
            done.add(name)

        for name in self._needs:
            follow(name, [name])

    def _others(self) -> list[str]:
        return list(self._section)

    def _find(self, function: str, name: str, line: int) -> Resource:
        if name not in self._resources:
            raise Wrong(line, f"{function}: the condition of {name} does not hold, so there is none")
        if self._owner is not None:
            self.need(self._owner, name, line)
        return self._resources[name]

    def _resource(self, name: str, node: Node) -> Resource | None:
        if name.startswith("Fn::"):
            raise Wrong(node.line, f"{name} is not supported; write the resources out")
        entries = node.mapping(f"resource {name}")
        for key, value in entries.items():
            if key not in _ATTRIBUTES:
                raise Wrong(value.line, f"{name}: {key} is no attribute of a resource{suggestion(key, _ATTRIBUTES)}")
        if "Condition" in entries:
            condition = entries["Condition"]
            if not self.condition(condition.text(f"{name}: Condition"), condition.line):
                return None
        if "Type" not in entries:
            raise Wrong(node.line, f"{name} must have a Type")
        kind = entries["Type"].text(f"{name}: Type")
        if kind not in (FUNCTION, HTTP_API, QUEUE) and not kind.startswith(IGNORED):
            raise Wrong(
                entries["Type"].line, f"{name}: {kind} is not supported; {FUNCTION}, {HTTP_API} and {QUEUE} are"
            )
        properties = entries.get("Properties", Node({}, node.line))
        if kind in (FUNCTION, HTTP_API):
            properties = self._merge.merged(kind, properties, entries.get("IgnoreGlobals"))
        return Resource(name, kind, properties, node.line)
