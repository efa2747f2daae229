"""YAML files as a person writes them: what cannot be read in them, and the line in which each key stands."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aitm_kedro.config.sentences import dotted
from aitm_kedro.core.errors import InputError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MERGE = "<<"

TAG = "tag:yaml.org,2002:"
"""Before the kind of every value that YAML itself defines."""

STRING = TAG + "str"


@dataclass(frozen=True)
class ConfigFile:
    """A file of the configuration.

    Attributes:
        name: as a person calls it, relative to the project.
        lines: of each key, by its full name (``published.results[0].by``), counted from 1.
        keys: at its top.
    """

    name: str
    lines: Mapping[str, int]
    keys: tuple[str, ...]

    def place(self, name: str) -> str:
        """Where a key stands: "conf/test/parameters.yml, line 3"; of a key that is not here, the one above it."""
        while name and name not in self.lines:
            name = _above(name)
        return f"{self.name}, line {self.lines[name]}" if name else self.name


def read_file(content: bytes, name: str) -> ConfigFile:
    """Read what a file of YAML (or JSON, which is YAML) says and where.

    Args:
        content: of the file.
        name: by which sentences call it.

    Raises:
        InputError: it is not in UTF-8, no YAML, no mapping, or it has a key twice.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{name}, line {line}: this is no text in UTF-8; save the file in that encoding.") from None
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(_unreadable(error, text, name)) from None
    if root is None or root.tag == TAG + "null":
        return ConfigFile(name, {}, ())
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "text"
        raise InputError(
            f"{name}, line {_line(root)}: the file holds {kind}, but must be a mapping of name: value; write 'name:' "
            "in front."
        )
    lines: dict[str, int] = {}
    _collect(root, (), lines, name)
    for key, _ in root.value:
        if key.tag != STRING and key.value != MERGE:
            raise InputError(f"{name}, line {_line(key)}: the key {key.value} is no text; put it into quotes.")
    keys = tuple(key.value for key, _ in root.value if isinstance(key, yaml.ScalarNode))
    return ConfigFile(name, lines, keys)


def check_logging() -> None:
    """Check the file that configures the log, of which Kedro takes one of two equal keys in silence.

    Raises:
        InputError: it cannot be read, or KEDRO_LOGGING_CONFIG names one that is not there.
    """
    named = os.environ.get("KEDRO_LOGGING_CONFIG")
    path = Path(named or "conf/logging.yml")
    if path.is_file():
        read_file(path.read_bytes(), str(path))
    elif named:
        raise InputError(f"KEDRO_LOGGING_CONFIG names the file '{named}', which is not there; correct it, or unset it.")


def forbid_keys_in_two_files(files: Sequence[ConfigFile], *, merge: bool) -> None:
    """Check that no two files of an environment say something of the same key.

    Args:
        files: of one kind of configuration, in one environment.
        merge: whether a key may be in two files as long as different keys are below it.

    Raises:
        InputError: a key is in two files. Keys that begin with an underscore are private to their file.
    """
    seen: dict[str, ConfigFile] = {}
    for file in files:
        for key in _leaves(file) if merge else file.keys:
            if key.startswith("_"):
                continue
            other = seen.setdefault(key, file)
            if other is not file:
                raise InputError(
                    f"{file.place(key)}: the key '{key}' stands in {other.place(key)} as well; keep one of them."
                )


def _leaves(file: ConfigFile) -> list[str]:
    """Keys whose value is neither mapping nor list."""
    inner = {_above(name) for name in file.lines}
    return [name for name in file.lines if name not in inner]


def _above(name: str) -> str:
    """Name of the mapping or list that a key is in; "" at the top."""
    return name[: max(name.rfind("."), name.rfind("["), 0)]


def _collect(node: yaml.Node, path: tuple[str | int, ...], lines: dict[str, int], file: str) -> None:
    """Note the line of every key below a node."""
    if not node.tag.startswith(TAG):
        raise InputError(f"{file}, line {_line(node)}: {node.tag} has no meaning here; put the value into quotes.")
    if isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            lines.setdefault(dotted((*path, position)), _line(value))
            _collect(value, (*path, position), lines, file)
    elif isinstance(node, yaml.MappingNode):
        _collect_keys(node, path, lines, file)


def _collect_keys(node: yaml.MappingNode, path: tuple[str | int, ...], lines: dict[str, int], file: str) -> None:
    own: dict[str, int] = {}
    for key, value in node.value:
        name = _key(key, path, own, file)
        own[name] = _line(key)
        if name != MERGE:
            lines[dotted((*path, name))] = _line(key)
            _collect(value, (*path, name), lines, file)
    for merged in (value for key, value in node.value if key.value == MERGE):  # an anchor, or several
        inherited: dict[str, int] = {}
        for each in merged.value if isinstance(merged, yaml.SequenceNode) else [merged]:
            _collect(each, path, inherited, file)
        lines.update({name: line for name, line in inherited.items() if name not in lines})


def _key(node: yaml.Node, path: tuple[str | int, ...], before: Mapping[str, int], file: str) -> str:
    """The name that a key is; it must be one, and not be there before."""
    if not isinstance(node, yaml.ScalarNode):
        raise InputError(
            f"{file}, line {_line(node)}: a name cannot be a list or mapping; put a name with brackets into quotes."
        )
    name = str(node.value)
    if name in before:
        raise InputError(
            f"{file}, line {_line(node)}: the key '{dotted((*path, name))}' stands in line {before[name]} already; "
            "keep one of them."
        )
    return name


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _unreadable(error: yaml.YAMLError, text: str, name: str) -> str:
    """Line and reason of what YAML cannot read, and what to do about it."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{name}: this is no YAML: {' '.join(str(error).split())}."
    number = min(error.problem_mark.line, max(text.count("\n"), 0))
    lines = text.splitlines() or [""]
    line = lines[min(number, len(lines) - 1)]
    opened = error.context_mark.line + 1 if error.context_mark is not None else number + 1
    return f"{name}, line {number + 1}: this is no YAML ({error.problem}); {_remedy(str(error.problem), line, opened)}."


def _remedy(problem: str, line: str, opened: int) -> str:
    """What to do about a problem that YAML names."""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "the line is indented with a tab; use spaces"
    if line.startswith("{"):
        return "put a name with braces into quotes"
    remedies = {
        "mapping values are not allowed": "indent the line as the lines above, or put a value with ': ' into quotes",
        "alias": "put a value that begins with * into quotes",
        "expected ',' or": f"close the bracket that is opened in line {opened}, or put a comma between values",
        "unexpected end of stream": f"close the quotes that are opened in line {opened}",
        "could not find expected ':'": "write 'name: value', with a colon and a space",
        "cannot start any token": "put a value that begins with @, ` or % into quotes",
    }
    general = f"see that the lines from {opened} on are indented alike, and that brackets and quotes are closed"
    return next((remedy for words, remedy in remedies.items() if words in problem), general)
