"""A CloudFormation document as nodes that know their lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

Value: TypeAlias = "str | int | float | bool | dict[str, Node] | list[Node] | None"


class Wrong(Exception):
    """Something at that line cannot be used; the message says what, and what would be right."""

    def __init__(self, line: int, message: str) -> None:
        """``message`` is made one line."""
        super().__init__(" ".join(message.split()))
        self.line = line


@dataclass(frozen=True)
class Node:
    """A value, and the line where it begins; that of a mapping's value is the line of its key."""

    value: Value
    line: int

    def mapping(self, what: str) -> dict[str, Node]:
        """Its entries. Raises ``Wrong`` if it is no mapping; ``what`` names it."""
        if isinstance(self.value, dict):
            return self.value
        raise Wrong(self.line, f"{what} must be a mapping (name: value)")

    def items(self, what: str) -> list[Node]:
        """Its items. Raises ``Wrong`` if it is no list."""
        if isinstance(self.value, list):
            return self.value
        raise Wrong(self.line, f"{what} must be a list")

    def text(self, what: str) -> str:
        """As CloudFormation turns a scalar into a string. Raises ``Wrong`` if it is none."""
        if isinstance(self.value, dict | list) or self.value is None:
            raise Wrong(self.line, f"{what} must be a string")
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


def node_of(value: Any, line: int) -> Node:
    """Plain data as a node, all of it at one line."""
    if isinstance(value, list):
        return Node([node_of(item, line) for item in value], line)
    return Node(value, line)


def read_document(path: Path) -> Node:
    """The mapping in that YAML file, with short forms such as ``!Ref X`` written out. Raises ``Wrong``."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Wrong(1, f"the template cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise Wrong(1, "the template is no text in UTF-8") from None
    try:
        node = _Reader(text).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Wrong(mark.line + 1 if mark else 1, f"this is no YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Wrong(line, f"this is no YAML: the character #x{error.character:04x} may not stand here") from None
    node.mapping("a template")
    return node


class _Reader:
    """Turns one YAML text into nodes."""

    def __init__(self, text: str) -> None:
        self._loader = _Loader(text)
        self._open: list[yaml.Node] = []

    def read(self) -> Node:
        try:
            root = self._loader.get_single_node()
            if root is None:
                raise Wrong(1, "the template is empty; it must have Resources")
            return self._node(root, root.start_mark.line + 1)
        finally:
            self._loader.dispose()

    def _node(self, node: yaml.Node, line: int) -> Node:
        if node in self._open:
            raise Wrong(line, "this alias contains itself")
        self._open.append(node)
        value = Node(self._value(node), line)
        self._open.pop()
        if not node.tag.startswith("!"):
            return value
        name = node.tag[1:]
        return Node({name if name in ("Ref", "Condition") else f"Fn::{name}": value}, line)

    def _value(self, node: yaml.Node) -> Value:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self._node(item, item.start_mark.line + 1) for item in node.value]
        if node.tag.startswith("!"):
            text: str = node.value
            return text
        try:
            value = self._loader.construct_object(node)
        except ValueError:
            raise Wrong(node.start_mark.line + 1, f"{node.value!r} is no value of type {node.tag}") from None
        if value is None or isinstance(value, str | int | float | bool):
            return value
        raise Wrong(node.start_mark.line + 1, f"CloudFormation knows no values of type {node.tag}")

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Wrong(key.start_mark.line + 1, "a key must be a string")
            if key.value in seen:
                raise Wrong(key.start_mark.line + 1, f"{key.value} stands twice in this mapping")
            seen.add(key.value)
        self._loader.flatten_mapping(node)
        return {key.value: self._node(value, key.start_mark.line + 1) for key, value in node.value}


class _Loader(yaml.SafeLoader):
    """Knows no dates: ``2010-09-09`` is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
