"""The Google provider's schema, read from the package in which the CDK for Terraform publishes it.

The package is JavaScript made from the provider's schema: a class for each resource and each block in it. Every field
is a comment that says whether it is required, optional or computed, and an entry that says its type. The values that a
field may have stand in the documentation beside it.
"""

from __future__ import annotations

import re
import tarfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Block = dict[str, Any]
"""``attributes``: name to type, required, optional, computed, values; ``blocks``: name to nesting, min, max, block."""

_ENTRY = re.compile(
    r'^ +(\w+): \{\n +value: (.*),\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)"', re.M
)
_FIELD = re.compile(r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n((?:.*\n){3})")
_DOCUMENTED = re.compile(r"/\*\*((?:(?!\*/).)*?#(\w+) (?:(?!\*/).)*?)\*/\s*readonly \w+", re.S)
_VALUES = re.compile(r"Possible values: \[([^\]]*)\]")

_SCALARS = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
_GETTERS: dict[str, Any] = {
    "getStringAttribute": "string",
    "getNumberAttribute": "number",
    "getBooleanAttribute": "bool",
    "getListAttribute": ["list", "string"],
    "getNumberListAttribute": ["list", "number"],
    "getStringMapAttribute": ["map", "string"],
    "StringMap(": ["map", "string"],
    "BooleanMap(": ["map", "bool"],
    "StringMapList(": ["list", ["map", "string"]],
}


class Package:
    """The wheel with the provider's classes; ``kinds`` are the resources that will be asked for."""

    def __init__(self, wheel: Path, kinds: set[str]) -> None:
        folders = {_folder(name) for kind in kinds for name in (kind, f"data_{kind}", f"ephemeral_{kind}")} | {
            "provider",
            "project",
        }
        with zipfile.ZipFile(wheel) as files:
            (name,) = (name for name in files.namelist() if name.endswith(".jsii.tgz"))
            with files.open(name) as packed, tarfile.open(fileobj=packed, mode="r|gz") as package:
                self._files = _sources(package, folders)

    def version(self) -> str:
        """The provider's version."""
        found = re.search(r"providerVersion: '([\d.]+)'", self._files["project"][0])
        assert found
        return found[1]

    def provider(self) -> Block:
        """The block that configures the provider."""
        return _Source(*self._files["provider"]).top()

    def resource(self, kind: str) -> Block:
        """A resource's block. Raises ``KeyError`` when the provider has no such resource."""
        return _Source(*self._files[_folder(kind)]).top()

    def data_source(self, kind: str) -> Block:
        """A data source's block."""
        return _Source(*self._files[_folder(f"data_{kind}")]).top()

    def ephemeral(self, kind: str) -> Block:
        """An ephemeral resource's block."""
        return _Source(*self._files[_folder(f"ephemeral_{kind}")]).top()


def _folder(kind: str) -> str:
    return kind.removeprefix("google_").replace("_", "-")


def _sources(package: tarfile.TarFile, folders: set[str]) -> dict[str, tuple[str, str]]:
    """JavaScript and declarations of each folder."""
    found: dict[str, dict[str, str]] = {folder: {} for folder in folders}
    for member in package:
        _, _, folder, name = (*member.name.split("/"), "", "", "")[:4]
        if folder in folders and (content := package.extractfile(member)):
            found[folder][name] = content.read().decode()
    return {folder: (files["index.js"], files["index.d.ts"]) for folder, files in found.items() if files}


@dataclass
class _Source:
    javascript: str
    declarations: str
    classes: dict[str, str] = field(init=False)
    mappers: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.javascript = self.javascript.partition("//# sourceMappingURL")[0]
        self.classes = _pieces(self.javascript, r"^class (\w+) extends .*$")
        self.mappers = _pieces(self.javascript, r"^function (\w+)ToHclTerraform\(struct\) \{$")

    def top(self) -> Block:
        (name,) = re.findall(
            r"^class (\w+) extends cdktn\.Terraform(?:Resource|DataSource|EphemeralResource|Provider)",
            self.javascript,
            re.M,
        )
        text = self.classes[name]
        return self._block(text, text.partition("synthesizeHclAttributes()")[2], f"{name}Config")

    def _block(self, fields: str, entries: str, interface: str) -> Block:
        values = self._values(interface)
        block: Block = {"attributes": {}, "blocks": {}}
        settable = {entry[0]: entry[1:] for entry in _ENTRY.findall(entries)}
        for name, computed, optional, required, code in _FIELD.findall(fields):
            flags = {"computed": computed == "true", "optional": optional == "true", "required": required == "true"}
            if name not in settable:
                block["attributes"][name] = {"type": self._computed(code), **flags}
                continue
            value, is_block, kind, stored = settable[name]
            if is_block == "true":
                block["blocks"][name] = self._nested(value, kind, flags["required"])
                continue
            block["attributes"][name] = {"type": self._type(value, kind, stored), **flags}
            if name in values:
                block["attributes"][name]["values"] = values[name]
            if name.endswith("_wo"):
                block["attributes"][name]["write_only"] = True
        return block

    def _nested(self, value: str, kind: str, required: bool) -> dict[str, Any]:
        mapper = self._mapper(value)
        least, most = int(required), 0 if "listMapperHcl" in value else 1
        block = self._of(mapper)
        if kind == "struct":
            return {"nesting": "single", "min": 0, "max": 0, "block": block}
        return {"nesting": kind, "min": least, "max": most, "block": block}

    def _of(self, mapper: str) -> Block:
        name = mapper[0].upper() + mapper[1:]
        # The provider's own blocks have no such class, and are not used.
        return self._block(self.classes.get(f"{name}OutputReference", ""), self.mappers[mapper], name)

    @staticmethod
    def _mapper(value: str) -> str:
        found = re.search(r"(\w+)ToHclTerraform", value)
        assert found, value
        return found[1]

    def _type(self, value: str, kind: str, stored: str) -> Any:
        scalar = stored.removesuffix("List").removesuffix("Map")
        if kind == "simple":
            return _SCALARS[stored]
        if scalar in _SCALARS:
            return [kind, _SCALARS[scalar]]
        return [kind, self._object(self._of(self._mapper(value)))]

    def _computed(self, code: str) -> Any:
        for getter, kind in _GETTERS.items():
            if getter in code:
                return kind
        found = re.search(r"new (\w+?)(List|Map|OutputReference)\(", code)
        if not found:
            return "dynamic"
        fields = self._block(self.classes[f"{found[1]}OutputReference"], "", "")
        return [{"Map": "map"}.get(found[2], "list"), self._object(fields)]

    @staticmethod
    def _object(block: Block) -> Any:
        return ["object", {name: attribute["type"] for name, attribute in block["attributes"].items()}]

    def _values(self, interface: str) -> dict[str, list[str]]:
        text = self.declarations.partition(f"export interface {interface} ")[2].partition("\n}")[0]
        found = {name: _VALUES.search(words) for words, name in _DOCUMENTED.findall(text)}
        return {name: re.findall(r'"([^"]*)"', match[1]) for name, match in found.items() if match}


def _pieces(text: str, start: str) -> dict[str, str]:
    """What follows each match of ``start``, by the name in it."""
    matches = list(re.finditer(start, text, re.M))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    return {match[1]: text[match.end() : end] for match, end in zip(matches, ends, strict=False)}
