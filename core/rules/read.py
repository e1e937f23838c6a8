"""From the text of a rule file to rules, or to every mistake in it with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.errors import ConfigError
from core.model import JsonDict
from core.rules.form import CreditChoice, CreditFile, FlavorChoice, FlavorFile, Form, shown
from core.rules.names import dangling, did_you_mean
from core.rules.resolve import Choice, Rules, S
from core.rules.yaml_lines import Document, Path, parse


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing to change in a rule file."""

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}"
        return f"{where}: {self.key}: {self.text}" if self.key else f"{where}: {self.text}"


class BrokenRules(ConfigError):
    """A rule file that cannot be used."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


def read(path: FilePath, form: Form) -> Rules | None:
    """The rules in a file; None when there is no file, or nothing in it. Raises ``BrokenRules``."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BrokenRules([Mistake(str(path), 1, "", f"cannot be read: {reason}")]) from None
    return rules_of(text, form, str(path))


def rules_of(text: str, form: Form, file: str) -> Rules | None:
    """The rules in the text of a file; None when there is nothing in it. Raises ``BrokenRules``."""
    try:
        document = parse(text)
    except yaml.YAMLError as error:
        raise BrokenRules([_syntax(error, file)]) from None
    except (RecursionError, ValueError) as error:  # PyYAML: too deep; a date or number that does not exist
        raise BrokenRules([Mistake(file, 1, "", f"is no usable YAML: {error}")]) from None
    if document.data is None or document.data == {}:
        return None
    found = [(path, "stands here twice; keep one") for path in document.duplicates]
    found += dangling(document.data, form)
    model: FlavorFile | CreditFile | None = None
    try:
        model = form.model.model_validate(document.data)
    except ValidationError as error:
        found += [_told(details, form) for details in error.errors(include_url=False)]
    if model is None or found:
        raise BrokenRules(_mistakes(found, document, file))
    return _compiled(model, form)


def _syntax(error: yaml.YAMLError, file: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Mistake(file, mark.line + 1 if mark else 1, "", f"is no YAML: {problem}")


def _mistakes(found: list[tuple[Path, str]], document: Document, file: str) -> list[Mistake]:
    unique = dict.fromkeys(found)
    return sorted(Mistake(file, document.line(path), ".".join(map(str, path)), text) for path, text in unique)


def _told(details: ErrorDetails, form: Form) -> tuple[Path, str]:
    """A pydantic error as its place and what would be right."""
    path: Path = tuple(step for step in details["loc"] if step not in _STEPS_OF_NO_KEY)
    context = details.get("ctx", {})
    if "index" in context:
        path = (*path, context["index"])
    kind = details["type"]
    if kind == "rule":
        return path, details["msg"]
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1], form)
        hint = did_you_mean(str(path[-1]), known) or f"; known are {', '.join(known)}"
        return path, f"unknown key{hint}"
    if kind == "missing":
        return path, "is missing"
    right = _RIGHT.get(kind)
    return path, f"must be {right}, not {shown(details['input'])}" if right else details["msg"]


_STEPS_OF_NO_KEY = frozenset({"[key]"})

_RIGHT = {
    "string_type": "text (in quotes, if YAML takes it for something else)",
    "list_type": "a list",
    "dict_type": "a mapping of names",
    "model_type": "a mapping of keys",
    "bool_type": "true or false",
}


def _known_keys(path: Path, form: Form) -> list[str]:
    """The keys that the model at ``path`` has."""
    model: type[BaseModel] = form.model
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


def _compiled(model: FlavorFile | CreditFile, form: Form) -> Rules:
    return Rules(
        form,
        definitions={name: _written(keys) for name, keys in model.definitions.items()},
        hubs=tuple(_choice(name, members, members) for name, members in model.hubs.items()),
        users=tuple(_choice(name, members, members) for name, members in model.users.items()),
    )


def _choice(name: str, meant: S, choice: FlavorChoice | CreditChoice) -> Choice[S]:
    names = None if choice.chosen is None else frozenset(choice.chosen)
    overrides = {key: _written(value) for key, value in choice.overrides.items()}
    return Choice(name, meant, names, overrides)


def _written(keys: BaseModel) -> JsonDict:
    """What the file says, without what it leaves out."""
    return keys.model_dump(by_alias=True, exclude_unset=True)
