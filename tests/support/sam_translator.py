"""What AWS's own SAM translator makes of a template, in the terms of ``local.template``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local.template import Site

_GONE = object()
_CODE = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}


class Stack:
    """A template as CloudFormation gets it, with its intrinsic functions resolved by plain means."""

    def __init__(self, text: str, parameters: Mapping[str, str], site: Site) -> None:
        """``parameters`` must hold all that have no default."""
        template = yaml_parse(text)
        for resource in template["Resources"].values():
            if code := _CODE.get(resource["Type"]):  # as `sam package` leaves it
                resource.setdefault("Properties", {})[code] = "s3://bucket/key"
        self._given = {name: str(declared.get("Default")) for name, declared in template["Parameters"].items()}
        self._given |= parameters
        self._kinds = {name: declared["Type"] for name, declared in template["Parameters"].items()}
        self._site = site
        session = boto3.session.Session(region_name=site.region)
        translator = Translator({}, Parser(), boto_session=session)
        translated = translator.translate(template, dict(parameters))
        translator.metrics.publish()  # to nobody; it warns otherwise
        self._mappings = template.get("Mappings", {})
        self._conditions = translated.get("Conditions", {})
        resources = translated["Resources"].items()
        self._resources = {name: item for name, item in resources if self._exists(item.get("Condition"))}

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Properties by logical id."""
        resources = {name: item for name, item in self._resources.items() if item["Type"] == kind}
        return {name: self.value(item.get("Properties", {})) for name, item in resources.items()}

    def value(self, part: Any) -> Any:
        """Without intrinsic functions; numbers and booleans are strings, as CloudFormation compares them."""
        if isinstance(part, dict) and len(part) == 1:
            ((name, argument),) = part.items()
            if name in ("Ref", "Condition") or name.startswith("Fn::"):
                return self._call(name, argument)
        if isinstance(part, dict):
            entries = {key: self.value(item) for key, item in part.items() if key != "Role"}
            return {key: item for key, item in entries.items() if item is not _GONE}
        if isinstance(part, list):
            return [item for item in map(self.value, part) if item is not _GONE]
        return str(part).lower() if isinstance(part, bool) else str(part)

    def _exists(self, condition: str | None) -> bool:
        return condition is None or self.value(self._conditions[condition]) is True

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Ref":
            return self._ref(argument)
        if name == "Fn::If":
            return self.value(argument[1 if self._exists(argument[0]) else 2])
        if name == "Condition":
            return self._exists(argument)
        if name == "Fn::Sub":
            return self._sub(argument)
        if name == "Fn::GetAtt":
            first, second = argument.split(".") if isinstance(argument, str) else argument
            return f"{second} of {first}"
        values = self.value(argument)
        plain: dict[str, Any] = {
            "Fn::Equals": lambda: values[0] == values[1],
            "Fn::Not": lambda: values[0] is not True and values[0] != "True",
            "Fn::And": lambda: all(value is True for value in values),
            "Fn::Or": lambda: any(value is True for value in values),
            "Fn::Join": lambda: values[0].join(values[1]),
            "Fn::Split": lambda: values[1].split(values[0]),
            "Fn::Select": lambda: values[1][int(values[0])],
            "Fn::FindInMap": lambda: self.value(self._mappings[values[0]][values[1]][values[2]]),
        }
        return plain[name]()

    def _sub(self, argument: Any) -> str:
        text: str = argument if isinstance(argument, str) else argument[0]
        variables = {} if isinstance(argument, str) else argument[1]
        for name, value in variables.items():
            text = text.replace(f"${{{name}}}", self.value(value))
        names = [*self._given, *self._resources, "AWS::Region", "AWS::StackName", "AWS::AccountId", "AWS::Partition"]
        for name in names:
            if f"${{{name}}}" in text:
                text = text.replace(f"${{{name}}}", self._ref(name))
        return text.replace("${!", "${")

    def _ref(self, name: str) -> Any:
        if name in self._given:
            value = self._given[name]
            return [item.strip() for item in value.split(",")] if self._kinds[name] == "CommaDelimitedList" else value
        if name == "AWS::NoValue":
            return _GONE
        pseudo = {"Region": self._site.region, "StackName": self._site.stack_name, "AccountId": self._site.account}
        if name.startswith("AWS::"):
            return {**pseudo, "Partition": "aws", "URLSuffix": "amazonaws.com"}[name.removeprefix("AWS::")]
        return f"<{name}>"
