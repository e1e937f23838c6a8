"""From the text of a rule file to rules, or to every mistake in it with its line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path as FilePath

from pydantic import BaseModel, ValidationError

from core.errors import ConfigError
from core.model import JsonDict
from core.rules.form import CreditChoice, CreditFile, FlavorChoice, FlavorFile, Form
from core.rules.names import dangling
from core.rules.resolve import Choice, Rules, S
from core.rules.wording import told
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
    import yaml  # only where there is a file

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
        found += [told(details, form.model) for details in error.errors(include_url=False)]
    if model is None or found:
        raise BrokenRules(_mistakes(found, document, file))
    return _compiled(model, form)


def _syntax(error: Exception, file: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return Mistake(file, mark.line + 1 if mark else 1, "", f"is no YAML: {problem}")


def _mistakes(found: list[tuple[Path, str]], document: Document, file: str) -> list[Mistake]:
    unique = dict.fromkeys(found)
    return sorted(Mistake(file, document.line(path), ".".join(map(str, path)), text) for path, text in unique)


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
