"""The template's parameters and what they were given."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping

from local.template.document import Node, Wrong

_LISTS = re.compile(r"CommaDelimitedList|List<.+>")
_STRINGS = re.compile(r"String|AWS::(?!SSM::Parameter::Value<).+")
_NUMBERS = ("Number", "List<Number>")
_ATTRIBUTES = {
    "Type",
    "Default",
    "Description",
    "NoEcho",
    "AllowedValues",
    "AllowedPattern",
    "ConstraintDescription",
    "MinLength",
    "MaxLength",
    "MinValue",
    "MaxValue",
}


class Parameters:
    """Values by name. What was given is checked at once, what was not only when it is asked for."""

    def __init__(self, section: Node | None, given: Mapping[str, str]) -> None:
        """Raises ``Wrong`` for a value that its parameter does not allow, and for one of no parameter."""
        self._declared = section.mapping("Parameters") if section else {}
        self._given = given
        for name in given:
            if name not in self._declared:
                line = section.line if section else 1
                raise Wrong(line, f"there is no parameter {name}{suggestion(name, self._declared)}")
            self.value(name)

    def __contains__(self, name: str) -> bool:
        """Is there a parameter of that name?"""
        return name in self._declared

    def names(self) -> list[str]:
        """Of all parameters."""
        return list(self._declared)

    def value(self, name: str) -> str | list[str]:
        """What ``Ref`` gives. Raises ``Wrong`` if it was not given and has no default, or is ill-formed."""
        node = self._declared[name]
        declared = node.mapping(f"parameter {name}")
        for attribute, value in declared.items():
            if attribute not in _ATTRIBUTES:
                raise Wrong(
                    value.line, f"parameter {name}: there is no {attribute}{suggestion(attribute, _ATTRIBUTES)}"
                )
        text = self._text(name, node, declared)
        kind = _attribute(name, declared, "Type")
        if kind is None:
            raise Wrong(node.line, f"parameter {name} must have a Type")
        is_list = bool(_LISTS.fullmatch(kind))
        if not is_list and kind != "Number" and not _STRINGS.fullmatch(kind):
            raise Wrong(declared["Type"].line, f"parameter {name}: the type {kind} is not supported; use String")
        items = [item.strip() for item in text.split(",")] if is_list else [text]
        for item in items:
            self._check(name, node, item, kind)
        return items if is_list else text

    def _text(self, name: str, node: Node, declared: Mapping[str, Node]) -> str:
        if name in self._given:
            return self._given[name]
        if "Default" in declared:
            return declared["Default"].text(f"the default of parameter {name}")
        about = declared["Description"].text("Description") if "Description" in declared else ""
        raise Wrong(node.line, f"parameter {name} has no default and needs a value{about and f': {about}'}")

    def _check(self, name: str, node: Node, item: str, kind: str) -> None:
        declared = node.mapping(name)
        found = _complaint(name, declared, item, kind)
        if found is None:
            return
        line, complaint = found
        complaint = _attribute(name, declared, "ConstraintDescription") or complaint
        secret = (_attribute(name, declared, "NoEcho") or "").lower() == "true"
        raise Wrong(line, f"parameter {name}{'' if secret else f' is {item!r}'}: {complaint}")


def _complaint(name: str, declared: Mapping[str, Node], item: str, kind: str) -> tuple[int, str] | None:
    """The line of what is not kept, and what would be right."""
    number = _number(item)
    if kind in _NUMBERS and number is None:
        return declared["Type"].line, "must be a number"
    if "AllowedValues" in declared:
        allowed = [value.text("AllowedValues") for value in declared["AllowedValues"].items("AllowedValues")]
        if item not in allowed:
            return declared["AllowedValues"].line, f"must be one of {', '.join(allowed)}"
    if "AllowedPattern" in declared and not _matches(declared["AllowedPattern"], item):
        return declared["AllowedPattern"].line, f"must match {_attribute(name, declared, 'AllowedPattern')}"
    measured = (("Length", float(len(item)), " characters"), ("Value", number, ""))
    for what, measure, unit in measured:
        for word, sign in (("Min", 1), ("Max", -1)):
            limit = declared.get(word + what)
            if limit is None or measure is None:
                continue
            bound = _number(limit.text(word + what))
            if bound is None:
                raise Wrong(limit.line, f"parameter {name}: {word + what} must be a number")
            if measure * sign < bound * sign:
                return limit.line, f"must be {'at least' if sign > 0 else 'at most'} {bound:g}{unit}"
    return None


def _matches(pattern: Node, item: str) -> bool:
    try:
        return re.fullmatch(pattern.text("AllowedPattern"), item) is not None
    except re.error as error:
        raise Wrong(pattern.line, f"AllowedPattern is no regular expression: {error}") from None


def _attribute(name: str, declared: Mapping[str, Node], attribute: str) -> str | None:
    return declared[attribute].text(f"parameter {name}: {attribute}") if attribute in declared else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def suggestion(name: str, known: Iterable[str]) -> str:
    """For the end of an error: what was probably meant."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
