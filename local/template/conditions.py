"""Conditions, and the rules that parameters must keep."""

from __future__ import annotations

from local.template.document import Node, Wrong
from local.template.intrinsics import Intrinsics
from local.template.parameters import suggestion

_NOT_CHECKED = ("Fn::EachMemberEquals", "Fn::EachMemberIn", "Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll")


class Conditions:
    """The template's conditions by name. Every method raises ``Wrong``."""

    def __init__(self, section: Node | None, intrinsics: Intrinsics) -> None:
        """``intrinsics`` has a scope of parameters only."""
        self._declared = section.mapping("Conditions") if section else {}
        self._intrinsics = intrinsics
        self._known: dict[str, bool] = {}
        self._open: list[str] = []

    def holds(self, name: str, line: int) -> bool:
        """Does it hold? ``line`` is where it is named."""
        if name in self._open:
            raise Wrong(line, f"conditions depend on each other: {' -> '.join([*self._open, name])}")
        if name not in self._declared:
            raise Wrong(line, f"there is no condition {name}{suggestion(name, self._declared)}")
        if name not in self._known:
            self._open.append(name)
            self._known[name] = self.test(self._declared[name])
            self._open.pop()
        return self._known[name]

    def test(self, node: Node) -> bool:
        """Is that expression true?"""
        if not isinstance(node.value, dict) or len(node.value) != 1:
            raise Wrong(node.line, "a condition must be Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition")
        ((name, argument),) = node.value.items()
        if name == "Condition":
            return self.holds(argument.text("Condition"), argument.line)
        parts = self._intrinsics.shallow(argument) if name == "Fn::Contains" else argument
        if parts is None or not isinstance(parts.value, list):
            raise Wrong(argument.line, f"{name} must have a list")
        return self._apply(name, parts.value, argument.line)

    def _apply(self, name: str, parts: list[Node], line: int) -> bool:
        if name in ("Fn::Equals", "Fn::Contains") and len(parts) != 2:
            raise Wrong(line, f"{name} must have two values")
        if name == "Fn::Equals":
            return self._plain(parts[0]) == self._plain(parts[1])
        if name == "Fn::Contains":
            return self._plain(parts[1]) in [self._plain(item) for item in self._intrinsics.items(parts[0], name)]
        if name == "Fn::Not" and len(parts) == 1:
            return not self.test(parts[0])
        if name in ("Fn::And", "Fn::Or") and 2 <= len(parts) <= 10:
            return (all if name == "Fn::And" else any)(self.test(part) for part in parts)
        if name in ("Fn::Not", "Fn::And", "Fn::Or"):
            raise Wrong(line, f"{name} must have {'one condition' if name == 'Fn::Not' else '2 to 10 conditions'}")
        raise Wrong(line, f"{name} is no condition; Fn::Equals, Fn::And, Fn::Or, Fn::Not and Condition are")

    def _plain(self, node: Node) -> object:
        found = self._intrinsics.deep(node)
        return None if found is None else _comparable(found)


def _comparable(node: Node) -> object:
    """CloudFormation compares strings: 0 equals "0"."""
    if isinstance(node.value, dict):
        return {key: _comparable(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [_comparable(item) for item in node.value]
    return node.text("a value")


def check_rules(section: Node | None, conditions: Conditions) -> None:
    """Raises ``Wrong`` for an assertion that fails. Rules about what is only in AWS are not checked."""
    for name, node in (section.mapping("Rules") if section else {}).items():
        rule = node.mapping(f"rule {name}")
        if _names_aws(node):
            continue
        if "RuleCondition" in rule and not conditions.test(rule["RuleCondition"]):
            continue
        if "Assertions" not in rule:
            raise Wrong(node.line, f"rule {name} must have Assertions")
        for item in rule["Assertions"].items("Assertions"):
            assertion = item.mapping("an assertion")
            if "Assert" not in assertion:
                raise Wrong(item.line, f"rule {name}: an assertion must have an Assert")
            if not conditions.test(assertion["Assert"]):
                about = assertion.get("AssertDescription")
                raise Wrong(item.line, about.text("AssertDescription") if about else f"rule {name} does not hold")


def _names_aws(node: Node) -> bool:
    if isinstance(node.value, dict):
        return any(key in _NOT_CHECKED or _names_aws(value) for key, value in node.value.items())
    return isinstance(node.value, list) and any(_names_aws(item) for item in node.value)
