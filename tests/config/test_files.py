"""What a person mistypes in a file of YAML is said with the file, the line and what to do; lines of keys are known."""

import pytest

from aitm_kedro.config.files import forbid_keys_in_two_files, read_file
from aitm_kedro.core.errors import InputError


def read(text, name="conf/mine/parameters.yml"):
    return read_file(text.encode(), name)


def test_every_key_has_its_line_and_a_key_that_is_missing_that_of_the_one_above():
    file = read(
        "a: 1\n# a comment\nblock:\n  inner: {x: 1, y: 2}\n  rows:\n    - {by: me}\n    - by: you\n'k.{n}': 3\n"
    )
    assert file.keys == ("a", "block", "k.{n}")
    assert file.lines["block.inner.y"] == 4
    assert file.lines["block.rows[1].by"] == 7
    assert file.lines["k.{n}"] == 8
    assert file.place("block.inner.y") == "conf/mine/parameters.yml, line 4"
    assert file.place("block.rows[0].model") == "conf/mine/parameters.yml, line 6"
    assert file.place("elsewhere.x") == "conf/mine/parameters.yml"


def test_what_an_anchor_brings_in_stands_where_the_anchor_does():
    file = read("_x: &x\n  one: 1\n  two: 2\nentry:\n  <<: *x\n  two: 3\n")
    assert (file.lines["entry.one"], file.lines["entry.two"]) == (2, 6)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n", "{}\n"])
def test_a_file_may_be_empty(text):
    assert read(text).keys == ()


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("a:\n\tb: 1\n", 2, "indented with a tab; use spaces"),
        ("a: 1\n\tb: 1\n", 2, "indented with a tab; use spaces"),
        ("a: [1, 2\nb: 3\n", 2, "close the bracket that is opened in line 1"),
        ("a: {b: 1\nc: 2\n", 2, "close the bracket that is opened in line 1"),
        ("a: 'x\nb: 3\n", 3, "close the quotes that are opened in line 1"),
        ("a: b: c\n", 1, "put a value with ': ' into quotes"),
        ("a: 1\n  b: 2\n", 2, "indent the line as the lines above"),
        ("a: *x\n", 1, "begins with * into quotes"),
        ("a: @x\n", 1, "begins with @"),
        ("{a}_b:\n  c: 1\n", 1, "put a name with braces into quotes"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a:\n  - 1\n b: 2\n", 3, "indented alike"),
        ("a: !path x\n", 1, "!path has no meaning here"),
        ("? [a]\n: 1\n", 1, "a name cannot be a list"),
        ("- a\n- b\n", 1, "the file holds a list, but must be a mapping of name: value"),
        ("just words\n", 1, "the file holds text, but must be a mapping"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands in line 1 already; keep one of them"),
        ("a:\n  b: {c: 1, c: 2}\n", 2, "the key 'a.b.c' stands in line 2 already"),
    ],
)
def test_what_cannot_be_read_is_said_with_file_and_line(text, line, reason):
    with pytest.raises(InputError) as caught:
        read(text)
    message = str(caught.value)
    assert message.startswith(f"conf/mine/parameters.yml, line {line}: ")
    assert reason in message
    assert "\n" not in message


def test_bytes_that_are_no_text_are_said_with_their_line():
    with pytest.raises(InputError, match=r"parameters\.yml, line 2: this is no text in UTF-8"):
        read_file("a: 1\nb: é\n".encode("latin-1"), "parameters.yml")


def test_a_control_character_ends_in_a_sentence():
    with pytest.raises(InputError, match="this is no YAML"):
        read("a: \x00\n")


class TestKeysInTwoFiles:
    def test_different_keys_of_a_block_may_stand_in_two_files_of_parameters(self):
        files = [read("block: {a: 1}\n_x: 1\n", "one.yml"), read("block: {b: 1}\n_x: 2\n", "two.yml")]
        forbid_keys_in_two_files(files, merge=True)
        with pytest.raises(InputError, match=r"two\.yml, line 1: the key 'block' stands in one\.yml, line 1 as well"):
            forbid_keys_in_two_files(files, merge=False)

    def test_the_same_key_may_not(self):
        files = [read("block:\n  a: 1\n", "one.yml"), read("block: {a: 2}\n", "two.yml")]
        with pytest.raises(
            InputError, match=r"two\.yml, line 1: the key 'block\.a' stands in one\.yml, line 2 as well"
        ):
            forbid_keys_in_two_files(files, merge=True)
