"""The properties of a resource or an event, read by name and type."""

from __future__ import annotations

from collections.abc import Iterator

from local.template.document import Node, Wrong
from local.template.intrinsics import Intrinsics
from local.template.parameters import suggestion


class Properties:
    """Every method raises ``Wrong``, with the line, for a value that is not of its type."""

    def __init__(self, what: str, node: Node, intrinsics: Intrinsics) -> None:
        """``what`` names them in errors."""
        self.what = what
        self.line = node.line
        self._intrinsics = intrinsics
        self._nodes = node.mapping(what)

    def allow(self, read: tuple[str, ...], ignored: tuple[str, ...] = ()) -> None:
        """Only these may be set: what is read, and what has no effect on one machine."""
        for name, node in self._nodes.items():
            if name in read or name in ignored or self._intrinsics.shallow(node) is None:
                continue
            hint = suggestion(name, [*read, *ignored]) or f"; {', '.join(read)} are"
            raise Wrong(node.line, f"{self._named(name)} is not supported{hint}")

    def line_of(self, name: str) -> int:
        """Of a property, or of them all where it is not set."""
        return self._nodes[name].line if name in self._nodes else self.line

    def wrong(self, name: str, message: str) -> Wrong:
        """An error that begins with the property's name."""
        return Wrong(self.line_of(name), f"{self._named(name)} {message}")

    def has(self, name: str) -> bool:
        """Is it set?"""
        return self._find(name) is not None

    def text(self, name: str) -> str | None:
        """None if it is not set."""
        node = self._find(name)
        return None if node is None else node.text(self._named(name))

    def required(self, name: str, example: str) -> str:
        """A string that must be set."""
        text = self.text(name)
        if text is None:
            raise Wrong(self.line, f"{self._named(name)} must be set, for example to {example}")
        return text

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of some words."""
        text = self.text(name)
        if text is None:
            return default
        if text not in allowed:
            raise self.wrong(name, f"is {text!r}, and must be {' or '.join(allowed)}")
        return text

    def integer(self, name: str, default: int, lowest: int, highest: int) -> int:
        """Within bounds."""
        found = self.optional_integer(name, lowest, highest)
        return default if found is None else found

    def optional_integer(self, name: str, lowest: int, highest: int | None = None) -> int | None:
        """Within bounds; None if it is not set."""
        text = self.text(name)
        if text is None:
            return None
        bounds = f"from {lowest} to {highest}" if highest is not None else f"of at least {lowest}"
        number = int(text) if text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 12 else None
        if number is None or number < lowest or (highest is not None and number > highest):
            raise self.wrong(name, f"is {text!r}, and must be a whole number {bounds}")
        return number

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        text = self.text(name)
        if text is None:
            return default
        if text.lower() not in ("true", "false"):
            raise self.wrong(name, f"is {text!r}, and must be true or false")
        return text.lower() == "true"

    def texts(self, name: str) -> list[str]:
        """A list of strings; empty if it is not set."""
        node = self._find(name)
        if node is None:
            return []
        what = self._named(name)
        return [item.text(f"an item of {what}") for item in self._intrinsics.items(node, what)]

    def group(self, name: str) -> Properties | None:
        """Properties within a property; None if it is not set."""
        node = self._find(name)
        return None if node is None else Properties(self._named(name), node, self._intrinsics)

    def group_or_empty(self, name: str, what: str) -> Properties:
        """The same, where it may be left out; ``what`` names them in errors."""
        node = self._find(name) or Node({}, self.line)
        return Properties(what, node, self._intrinsics)

    def groups(self) -> Iterator[tuple[str, Properties]]:
        """All of them by name, each of which must be a mapping."""
        for name in self:
            if group := self.group(name):
                yield name, group

    def __iter__(self) -> Iterator[str]:
        """The names of those that are set."""
        return (name for name in self._nodes if self.has(name))

    def _find(self, name: str) -> Node | None:
        if name not in self._nodes:
            return None
        node = self._intrinsics.shallow(self._nodes[name])
        return None if node is None else Node(node.value, self._nodes[name].line)

    def _named(self, name: str) -> str:
        return f"{self.what}: {name}" if ":" not in self.what else f"{self.what}.{name}"
