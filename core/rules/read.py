"""From the text of a rule file to rules, or to every mistake in it with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.errors import ConfigError
from core.rules.form import CreditFile, FlavorFile, Form
from core.rules.patterns import BadPattern, entry
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
    found += _names(document.data, form)
    model: FlavorFile | CreditFile | None = None
    try:
        model = form.model.model_validate(document.data)
    except ValidationError as error:
        found += [_told(details, form, document.data) for details in error.errors(include_url=False)]
    if model is None or found:
        raise BrokenRules(_mistakes(found, document, file))
    return _compiled(model, form)


def _syntax(error: yaml.YAMLError, file: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Mistake(file, mark.line + 1 if mark else 1, "", f"is no YAML: {problem}")


def _mistakes(found: list[tuple[Path, str]], document: Document, file: str) -> list[Mistake]:
    unique = {(path, text): None for path, text in found}
    return sorted(Mistake(file, document.line(path), ".".join(map(str, path)), text) for path, text in unique)


def _names(data: Any, form: Form) -> Iterator[tuple[Path, str]]:
    """Names that lead nowhere. Shapes are the model's business; whatever does not fit is passed over here."""
    defined = _mapping(_mapping(data).get(form.key))
    hubs = _mapping(_mapping(data).get("hubs"))
    for name in form.reserved & {key for key in defined if isinstance(key, str)}:
        yield (form.key, name), "is reserved for what has no name; choose another"
    for section in ("hubs", "users"):
        for set_name, members in _mapping(_mapping(data).get(section)).items():
            members, path = _mapping(members), (section, str(set_name))
            for index, name in enumerate(_list(members.get(form.key))):
                if isinstance(name, str) and name not in defined:
                    yield (*path, form.key, index), _not_defined(name, form, defined)
            for name in _mapping(members.get(form.override_key)):
                if name not in defined:
                    yield (*path, form.override_key, str(name)), _not_defined(str(name), form, defined)
            if section == "users":
                yield from _hubs_of_nobody(members.get("hubs"), hubs, (*path, "hubs"))


def _hubs_of_nobody(named: Any, hubs: Mapping[Any, Any], path: Path) -> Iterator[tuple[Path, str]]:
    """Names, not patterns, that are neither a hub set's nor match one, where the file has hub sets at all."""
    if not hubs:
        return
    for index, name in enumerate(_list(named)):
        if not isinstance(name, str) or name in hubs or _is_pattern(name):
            continue
        if not any(_matches(_mapping(members).get("jupyterhub_name"), name) for members in hubs.values()):
            yield (*path, index), f"there is no hub set {name!r}, and no hub set is for a hub of that name"


def _is_pattern(text: str) -> bool:
    try:
        return entry(text).regex is not None or entry(text).glob is not None
    except BadPattern:
        return True


def _matches(raw: Any, name: str) -> bool:
    """Is a hub of that name in ``jupyterhub_name`` as the file has it? What is broken there counts as yes."""
    from core.rules.form import _patterns

    try:
        return any(pattern.match(name) for pattern in _patterns(raw))
    except Exception:
        return True


def _not_defined(name: str, form: Form, defined: Mapping[Any, Any]) -> str:
    known = [key for key in defined if isinstance(key, str)]
    return f"there is no {name!r} in {form.key}{_did_you_mean(name, known)}"
