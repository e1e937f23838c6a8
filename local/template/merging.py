"""Globals, as SAM merges them into resources."""

from __future__ import annotations

from local.template.document import Node, Wrong
from local.template.intrinsics import intrinsic

_PREFIX = "AWS::Serverless::"
_SECTIONS = ("Function", "Api", "HttpApi", "SimpleTable", "StateMachine", "LayerVersion")
_OF_ONE_FUNCTION = (
    "Role",
    "Policies",
    "FunctionName",
    "Events",
    "InlineCode",
    "ImageUri",
    "PackageType",
    "ImageConfig",
)
_OF_ONE_HTTP_API = ("Name", "Description", "StageName", "DefinitionBody", "DefinitionUri", "DisableExecuteApiEndpoint")
_OF_ONE = {"Function": _OF_ONE_FUNCTION, "HttpApi": _OF_ONE_HTTP_API}


class Globals:
    """The section's properties by type of resource."""

    def __init__(self, section: Node | None) -> None:
        """Raises ``Wrong`` for what SAM does not take."""
        self._of: dict[str, Node] = {}
        for name, node in (section.mapping("Globals") if section else {}).items():
            if name not in _SECTIONS:
                raise Wrong(node.line, f"Globals: there is no {name}; {', '.join(_SECTIONS)} may be set")
            for key, value in node.mapping(f"Globals: {name}").items():
                if key in _OF_ONE.get(name, ()):
                    raise Wrong(value.line, f"Globals: SAM takes no {key}; set it in each resource")
            self._of[_PREFIX + name] = node

    def merged(self, resource_type: str, properties: Node, ignored: Node | None = None) -> Node:
        """A resource's properties with the global ones; ``ignored`` is its ``IgnoreGlobals``."""
        section = self._of.get(resource_type)
        if section is None or (ignored is not None and ignored.value == "*"):
            return properties
        entries = dict(section.mapping("Globals"))
        for item in ignored.items("IgnoreGlobals (unless it is '*')") if ignored is not None else []:
            if entries.pop(item.text("IgnoreGlobals"), None) is None:
                raise Wrong(item.line, f"IgnoreGlobals: there is no {item.value} in Globals")
        return _merge(Node(entries, section.line), properties)


def _merge(below: Node, above: Node) -> Node:
    """Mappings are merged, lists appended, everything else replaced; a call of a function is a value like others."""
    if intrinsic(below) or intrinsic(above):
        return above
    if isinstance(below.value, dict) and isinstance(above.value, dict):
        merged = dict(below.value)
        for key, value in above.value.items():
            merged[key] = _merge(merged[key], value) if key in merged else value
        return Node(merged, above.line)
    if isinstance(below.value, list) and isinstance(above.value, list):
        return Node([*below.value, *above.value], above.line)
    return above
