"""CloudFormation's intrinsic functions. Nothing is resolved before it is asked for."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, Protocol

from local.template.document import Node, Wrong, node_of

_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9_.:]+")


class Scope(Protocol):
    """What names stand for."""

    def ref(self, name: str, line: int) -> Any:
        """The value of ``Ref``: a string or a list of them; None for ``AWS::NoValue``."""

    def attribute(self, name: str, attribute: str, line: int) -> str:
        """The value of ``Fn::GetAtt``."""

    def condition(self, name: str, line: int) -> bool:
        """Does that condition hold?"""

    def mapped(self, name: str, key: str, second_key: str, line: int) -> Node:
        """What stands there in ``Mappings``."""


def intrinsic(node: Node) -> tuple[str, Node] | None:
    """The function that a node calls, and its argument. Raises ``Wrong`` if there is something beside it."""
    if not isinstance(node.value, dict):
        return None
    for name, argument in node.value.items():
        if name == "Ref" or name.startswith("Fn::"):
            if len(node.value) > 1:
                raise Wrong(argument.line, f"beside {name} nothing else may stand in a mapping")
            return name, argument
    return None


class Intrinsics:
    """Resolves nodes in a scope. Every method raises ``Wrong`` for what is ill-formed or not supported."""

    def __init__(self, scope: Scope) -> None:
        """Names are looked up in ``scope``, whenever one is needed."""
        self._scope = scope
        self._functions: dict[str, Callable[[Node], Node | None]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::If": self._if,
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": self._base64,
        }

    def shallow(self, node: Node) -> Node | None:
        """The node without an intrinsic function at its top; None for ``AWS::NoValue``."""
        found: Node | None = node
        while found is not None and (call := intrinsic(found)):
            name, argument = call
            function = self._functions.get(name)
            if function is None:
                raise Wrong(argument.line, f"{name} is not supported; {', '.join(self._functions)} are")
            found = function(argument)
        return found

    def deep(self, node: Node) -> Node | None:
        """The node without intrinsic functions; entries and items that are ``AWS::NoValue`` are left out."""
        found = self.shallow(node)
        if found is None:
            return None
        if isinstance(found.value, dict):
            entries = {key: self.deep(value) for key, value in found.value.items()}
            return Node({key: value for key, value in entries.items() if value is not None}, found.line)
        if isinstance(found.value, list):
            return Node([item for part in found.value if (item := self.deep(part)) is not None], found.line)
        return found

    def items(self, node: Node, what: str) -> list[Node]:
        """A list's items, unresolved; those that are ``AWS::NoValue`` are left out."""
        found = self._needed(node, what)
        return [part for item in found.items(what) if (part := self.shallow(item)) is not None]

    def text(self, node: Node, what: str) -> str:
        """A scalar, as a string."""
        return self._needed(node, what).text(what)

    def _needed(self, node: Node, what: str) -> Node:
        found = self.shallow(node)
        if found is None:
            raise Wrong(node.line, f"{what} may not be AWS::NoValue")
        return found

    def _ref(self, argument: Node) -> Node | None:
        value = self._scope.ref(argument.text("Ref"), argument.line)
        return None if value is None else node_of(value, argument.line)

    def _get_att(self, argument: Node) -> Node:
        if isinstance(argument.value, list):
            parts = [self.text(part, "Fn::GetAtt") for part in argument.value]
        else:
            parts = argument.text("Fn::GetAtt").split(".", 1)
        if len(parts) != 2:
            raise Wrong(argument.line, "Fn::GetAtt must be Name.Attribute or [Name, Attribute]")
        return Node(self._scope.attribute(parts[0], parts[1], argument.line), argument.line)

    def _sub(self, argument: Node) -> Node:
        variables: dict[str, Node] = {}
        text = argument
        if isinstance(argument.value, list):
            text, names = self._arguments("Fn::Sub", argument, ("text", "variables"))
            variables = names.mapping("the second argument of Fn::Sub")
        if not isinstance(text.value, str):
            raise Wrong(argument.line, "Fn::Sub must be a string or [string, variables]")

        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            return f"${{{name}}}" if literal else self._variable(name.strip(), variables, text.line)

        return Node(_VARIABLE.sub(value, text.value), argument.line)

    def _variable(self, name: str, variables: dict[str, Node], line: int) -> str:
        if not _NAME.fullmatch(name):
            raise Wrong(line, f"Fn::Sub: ${{{name}}} is no name; write ${{!{name}}} for the text itself")
        if name in variables:
            return self.text(variables[name], f"Fn::Sub: {name}")
        if "." in name:
            return self._scope.attribute(*_halves(name), line)
        value = self._scope.ref(name, line)
        if not isinstance(value, str):
            raise Wrong(line, f"Fn::Sub: {name} is no string; use Fn::Join")
        return value

    def _join(self, argument: Node) -> Node:
        delimiter, parts = self._arguments("Fn::Join", argument, ("delimiter", "list"))
        texts = [item.text("an item of Fn::Join") for item in self.items(parts, "the list of Fn::Join")]
        return Node(delimiter.text("the delimiter of Fn::Join").join(texts), argument.line)

    def _select(self, argument: Node) -> Node | None:
        index, parts = self._arguments("Fn::Select", argument, ("index", "list"))
        items = self.items(parts, "the list of Fn::Select")
        text = self.text(index, "the index of Fn::Select")
        if not text.isdecimal() or int(text) >= len(items):
            raise Wrong(argument.line, f"Fn::Select: the index {text} is none of a list of {len(items)}")
        return items[int(text)]

    def _split(self, argument: Node) -> Node:
        delimiter, text = self._arguments("Fn::Split", argument, ("delimiter", "string"))
        separator = delimiter.text("the delimiter of Fn::Split")
        if not separator:
            raise Wrong(argument.line, "the delimiter of Fn::Split may not be empty")
        return node_of(self.text(text, "the string of Fn::Split").split(separator), argument.line)

    def _if(self, argument: Node) -> Node:
        name, then, other = self._arguments("Fn::If", argument, ("condition", "value", "other value"))
        return then if self._scope.condition(name.text("the condition of Fn::If"), name.line) else other

    def _find_in_map(self, argument: Node) -> Node:
        parts = self._arguments("Fn::FindInMap", argument, ("map", "key", "second key"))
        name, key, second = (self.text(part, "Fn::FindInMap") for part in parts)
        return self._scope.mapped(name, key, second, argument.line)

    def _base64(self, argument: Node) -> Node:
        text = self.text(argument, "Fn::Base64")
        return Node(base64.b64encode(text.encode()).decode(), argument.line)

    def _arguments(self, name: str, argument: Node, what: tuple[str, ...]) -> list[Node]:
        parts = argument.value
        if not isinstance(parts, list) or len(parts) != len(what):
            raise Wrong(argument.line, f"{name} must be [{', '.join(what)}]")
        return parts


def _halves(name: str) -> tuple[str, str]:
    first, _, second = name.partition(".")
    return first, second
