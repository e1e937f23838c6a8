"""Names in a rule file that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from core.rules.form import Form
from core.rules.patterns import BadPattern, entry, patterns
from core.rules.yaml_lines import Path


def dangling(data: Any, form: Form) -> Iterator[tuple[Path, str]]:
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
    try:
        return any(pattern.match(name) for pattern in patterns(raw))
    except BadPattern:
        return True


def _not_defined(name: str, form: Form, defined: Mapping[Any, Any]) -> str:
    known = [key for key in defined if isinstance(key, str)]
    return f"there is no {name!r} in {form.key}{did_you_mean(name, known)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    by_small_letters = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name.lower(), by_small_letters, n=1)
    return f"; did you mean {by_small_letters[close[0]]!r}?" if close else ""


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
