"""How the names and values in rule files are compared: regular expression, then glob, then as they stand."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import translate

_SPECIAL = frozenset("*+?[](){}|^$\\")
_GLOB = frozenset("*?[")
_REGEX_ONLY = frozenset("+(){}|^$\\")
_HOW = "write a regular expression that compiles, a glob, or put a backslash before what is meant as it stands"


class Kind(StrEnum):
    """How a pattern matched."""

    REGEX = "regex"
    GLOB = "glob"
    LITERAL = "literal"


class BadPattern(ValueError):
    """Something that cannot be compared; the message says what to write instead."""

    index: int | None = None
    """Its place in the list it stands in."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One entry of ``jupyterhub_name``, ``hubs`` or ``authentication``, ready to be compared."""

    text: str
    regex: re.Pattern[str] | None
    glob: re.Pattern[str] | None

    def match(self, value: str) -> Kind | None:
        """By which kind the whole of ``value`` matches; None when it does not."""
        if self.regex is not None and self.regex.fullmatch(value):
            return Kind.REGEX
        if self.glob is not None and self.glob.fullmatch(value):
            return Kind.GLOB
        return Kind.LITERAL if value == self.text else None


def pattern(text: str) -> Pattern:
    """A pattern that stands alone, as in ``jupyterhub_name: "hub-.*"``. Raises ``BadPattern``."""
    glob = re.compile(translate(text)) if _GLOB & set(text) else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "[[" may mean something else one day
            return Pattern(text, re.compile(text), glob)
    except (re.error, OverflowError, RecursionError) as error:
        if _meant_as_regex(text):
            raise BadPattern(f"{text!r} is no regular expression ({error}); {_HOW}") from None
        return Pattern(text, None, glob)


def entry(text: str) -> Pattern:
    """An entry of a list: a name, unless it has characters that only patterns have. Raises ``BadPattern``.

    A dot alone makes no pattern here, so that a list of mail addresses admits those and no others.
    """
    return pattern(text) if _SPECIAL & set(text) else Pattern(text, None, None)


def patterns(value: object) -> tuple[Pattern, ...]:
    """A pattern that stands alone, or a list of names and patterns, as YAML has them. Raises ``BadPattern``."""
    if isinstance(value, str):
        return (pattern(value),)
    if not isinstance(value, list):
        raise BadPattern(f"must be a pattern or a list of them, not {value!r}; put numbers in quotes")
    found = []
    for index, text in enumerate(value):
        try:
            if not isinstance(text, str):
                raise BadPattern(f"must be text, not {text!r}; put it in quotes")
            found.append(entry(text))
        except BadPattern as error:
            error.index = index
            raise
    return tuple(found)


def _meant_as_regex(text: str) -> bool:
    """``*.example.org`` does not compile and is a fine glob; ``(a|b`` can only be a slip."""
    return bool(_REGEX_ONLY & set(text)) or ("[" in text and "]" not in text)
