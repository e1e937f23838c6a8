"""What pydantic finds, in the words of this project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from core.rules.form import shown
from core.rules.names import did_you_mean
from core.rules.yaml_lines import Path

_STEPS_OF_NO_KEY = frozenset({"[key]"})

_RIGHT = {
    "string_type": "text (in quotes, if YAML takes it for something else)",
    "list_type": "a list",
    "dict_type": "a mapping of names",
    "model_type": "a mapping of keys",
    "bool_type": "true or false",
}


def told(details: ErrorDetails, model: type[BaseModel]) -> tuple[Path, str]:
    """A pydantic error of that model as its place and what would be right."""
    path: Path = tuple(step for step in details["loc"] if step not in _STEPS_OF_NO_KEY)
    context = details.get("ctx", {})
    if "index" in context:
        path = (*path, context["index"])
    kind = details["type"]
    if kind == "rule":
        return path, details["msg"]
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1], model)
        hint = did_you_mean(str(path[-1]), known) or f"; known are {', '.join(known)}"
        return path, f"unknown key{hint}"
    if kind == "missing":
        return path, "is missing"
    right = _RIGHT.get(kind)
    return path, f"must be {right}, not {shown(details['input'])}" if right else details["msg"]


def _known_keys(path: Path, model: type[BaseModel]) -> list[str]:
    """The keys that the model at ``path`` within ``model`` has."""
    for step in path:
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        if step in fields:
            inner = next(_models_in(fields[str(step)]), None)
            model = inner or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
