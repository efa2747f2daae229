"""Mistakes in the configuration in plain words, for the person who wrote it."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

MOST = 10
"""Names that a sentence lists at most."""

LONGEST = 60
"""Characters of a value that a sentence shows at most."""

Place = tuple[str | int, ...]
"""Where a value stands: keys, and positions in lists."""

Where = Callable[[Place], str]
"""Says where a value stands: the file and the line."""

Schema = dict[str, Any]
"""A JSON schema, as pydantic makes it of a parameter class."""

NOUNS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "a mapping of name: value",
    "null": "null",
}

BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}


class Mistake(NamedTuple):
    """One value that cannot be: where it stands, and a sentence without a full stop that begins with its name."""

    path: Place
    sentence: str


def listed(names: Iterable[str], *, last: str = "and") -> str:
    """Names in one line, ten at most: "a, b and c"; "a, b, ... and 5 more"."""
    every = [str(name) for name in names]
    if len(every) > MOST:
        return f"{', '.join(every[:MOST])} and {len(every) - MOST} more"
    return f" {last} ".join(filter(None, (", ".join(every[:-1]), every[-1]))) if every else "none"


def stop(sentence: str) -> str:
    """A sentence with a full stop, unless it ends in a question."""
    return sentence if sentence.endswith(("?", ".")) else f"{sentence}."


def nearest(name: str, names: Iterable[str], *, known: str = "There are") -> str:
    """A hint for a name that is not among others: the closest one, those that contain it, or some of them.

    Args:
        name: as it was given.
        names: that would be right.
        known: how the list begins if no name is close.
    """
    every = [str(each) for each in names]
    small = {each.lower(): each for each in reversed(every)}
    close = difflib.get_close_matches(name.lower(), small, n=1)
    containing = sorted((each for each in small if name.lower() in each), key=len) if len(name) > 2 else []
    likely = (close or containing)[:3]
    if not likely:
        return f"{known} {listed(every)}"
    return f"did you mean {listed((repr(small[each]) for each in likely), last='or')}?"


def dotted(path: Sequence[str | int]) -> str:
    """A place as OmegaConf writes it: ``published.results[0].by``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def shown(value: Any) -> str:
    """A value as YAML would have it, cut if it is long."""
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def mistakes(
    error: ValidationError, kind: Any, *, path: Place = (), hint: Callable[[Place], str | None] = lambda _: None
) -> list[Mistake]:
    """Every complaint of pydantic in words that need no knowledge of pydantic.

    Args:
        error: what validating raised.
        kind: the type that was validated.
        path: where its value stands.
        hint: what to say of an unknown key instead of the nearest name.
    """
    schema = _Schema(kind)
    found = []
    for each in error.errors(include_url=False):
        inside = schema.keys(each["loc"], last=each["type"] in ("extra_forbidden", "missing"))
        found.append(Mistake((*path, *inside), _sentence(each, (*path, *inside), schema, inside, hint)))
    return list(dict.fromkeys(found))  # alternatives of a union complain each by itself


def _sentence(each: Any, path: Place, schema: "_Schema", inside: Place, hint: Callable[[Place], str | None]) -> str:
    name, kind = dotted(path), each["type"]
    if kind == "invalid_key" or each["loc"][-1:] == ("[key]",):
        return f"{name} has the key {shown(each['input'])}, which is no text; put it into quotes"
    if kind == "extra_forbidden":
        known = schema.names(inside[:-1])
        return f"{name} is unknown; {hint(path) or nearest(str(path[-1]), known, known='known are')}"
    if kind in ("value_error", "assertion_error"):
        reason = str(each["msg"].partition(", ")[2])
        return reason if reason.startswith(str(path[0])) else f"{name}: {reason}"
    wanted = schema.allowed(inside) or each["msg"].removeprefix("Input should be ")
    if kind == "missing":
        return f"{name} is missing; it must be {wanted}"
    return f"{name} must be {wanted}; it is {shown(each['input'])}"


class _Schema:
    """The JSON schema of a type, looked into by the place of a value."""

    def __init__(self, kind: Any) -> None:
        self._root: Schema = TypeAdapter(kind).json_schema()

    def names(self, inside: Place) -> list[str]:
        """Keys that may stand in the mapping at a place."""
        node = self._at(inside)
        return [name for choice in self._choices(node) for name in choice.get("properties", ())]

    def allowed(self, inside: Place) -> str:
        """What may stand at a place, in words; "" if the schema does not tell."""
        return self._words(self._at(inside))

    def keys(self, location: Place, *, last: bool) -> Place:
        """A place as the person knows it, without what pydantic adds: alternatives of a union, marks of keys.

        Args:
            location: as pydantic has it.
            last: whether its last part is a key for sure, though the schema may lack it.
        """
        node, path = self._root, []
        for number, part in enumerate(location, start=1):
            below = self._below(node, part)
            if below is not None or (last and number == len(location)):
                path.append(part)
            node = node if below is None else below
        return tuple(path)

    def _at(self, inside: Place) -> Schema:
        node = self._root
        for part in inside:
            node = self._below(node, part) or {}
        return node

    def _below(self, node: Schema, part: str | int) -> Schema | None:
        """What is said of a key or position; None if it is not known."""
        for choice in self._choices(node):
            if part in choice.get("properties", ()):
                return dict(choice["properties"][part])
            inner = choice.get("items" if isinstance(part, int) else "additionalProperties")
            if isinstance(inner, dict) and part != "[key]":
                return dict(inner)
        return None

    def _choices(self, node: Schema) -> list[Schema]:
        """A node without references; the alternatives of a union."""
        if "$ref" in node:
            target = self._root
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            return self._choices(target)
        alternatives = node.get("anyOf") or node.get("oneOf") or node.get("allOf")
        return [choice for each in alternatives for choice in self._choices(each)] if alternatives else [node]

    def _words(self, node: Schema) -> str:
        """Nouns and bounds: "a whole number, at least 1, or null"."""
        choices = [word for word in (_of_choice(choice) for choice in self._choices(node)) if word]
        if len(choices) == 2 and choices[1] == "null":
            return f"{choices[0]}, or null"
        return " or ".join(choices)


def _of_choice(choice: Schema) -> str:
    values = choice.get("enum", [choice["const"]] if "const" in choice else [])
    if values:
        return listed(map(str, values), last="or")
    if choice.get("format") == "date-time":
        return "a date, or a date and time, such as 2024-03-01"
    noun = NOUNS.get(choice.get("type", ""), "")
    if choice.get("minItems"):
        return f"{noun} with at least {'one value' if choice['minItems'] == 1 else str(choice['minItems']) + ' values'}"
    bounds = [words.format(choice[key]) for key, words in BOUNDS.items() if key in choice]
    return ", ".join(filter(None, (noun, " and ".join(bounds))))
