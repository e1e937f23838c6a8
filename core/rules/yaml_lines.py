"""Reading YAML so that every key still knows its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """What ``yaml.safe_load`` gives, with lines (the first is 1) by path, and keys that stand there twice."""

    data: Any
    lines: dict[Path, int] = field(default_factory=dict)
    duplicates: tuple[Path, ...] = ()

    def line(self, path: Path) -> int:
        """The line of ``path``, or of the nearest thing around it that stands in the file itself."""
        found: Path = ()
        for step in path:
            inner = next((p for p in ((*found, step), (*found, str(step))) if p in self.lines), None)
            if inner is None:
                break
            found = inner
        return self.lines.get(found, 1)


def parse(text: str) -> Document:
    """Read one document as ``yaml.safe_load`` does. Raises ``yaml.YAMLError``."""
    import yaml  # only where there is a file

    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(None)
        lines: dict[Path, int] = {}
        # Before constructing: that merges "<<" into the nodes, and overrides would look like duplicates.
        duplicates = tuple(_walk(node, (), lines, set()))
        return Document(loader.construct_document(node), lines, duplicates)
    finally:
        loader.dispose()


def _walk(node: Any, path: Path, lines: dict[Path, int], seen: set[int]) -> Iterator[Path]:
    """Note the lines below ``node``; what aliases repeat is walked once. Yields the duplicates."""
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:
        return
    seen.add(id(node))
    if node.id == "mapping":
        names = set()
        for key, value in node.value:
            name = key.value if key.id == "scalar" else str(key.tag)
            inner = (*path, name)
            if name in names and name != "<<":
                yield inner
            names.add(name)
            lines[inner] = key.start_mark.line + 1
            yield from _walk(value, inner, lines, seen)
    elif node.id == "sequence":
        for index, value in enumerate(node.value):
            yield from _walk(value, (*path, index), lines, seen)
