"""Menu file: the spellings of static/config.js that are read, and the message for each mistake."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.models.menu_file import MAX_BYTES, MenuFileEntry, MenuFileError, parse

CONFIG_JS = Path(__file__).parents[3] / "static" / "config.js"

VERSION_1_FILE = b"""// noinspection ES6ConvertVarToLetConst
var ModelConfig = {
    continuationModels: {
        "GPT-2 small": "gpt2",
        "GPT-2 medium": "gpt2-medium",
    },
    promptModels: {
        "Writing Prompts": "writing-prompts-model"
    }
};

// noinspection ES6ConvertVarToLetConst
var APILocation = "127.0.0.1:5000";
"""


def test_a_file_of_version_1_is_read_unchanged() -> None:
    assert parse(VERSION_1_FILE) == {
        "continue": (MenuFileEntry("GPT-2 small", "gpt2"), MenuFileEntry("GPT-2 medium", "gpt2-medium")),
        "prompt": (MenuFileEntry("Writing Prompts", "writing-prompts-model"),),
    }


def test_the_shipped_file_offers_gpt2_first() -> None:
    assert parse(CONFIG_JS.read_bytes())["continue"][0] == MenuFileEntry("GPT-2 small", "gpt2")


@pytest.mark.parametrize(
    "source",
    [
        "var ModelConfig = {continuationModels: {'a': 'b'}}",
        "const ModelConfig={continuationModels:{a:'b',},};",
        "let ModelConfig = /* { */ {continuationModels: {a: 'b'}, // }\n}",
        "// var ModelConfig = {};\nvar ModelConfig = {continuationModels: {a: 'b'}};",
        "var other = 'ModelConfig = {'; window.ModelConfig = {continuationModels: {a: {model: 'b'}}}",
        "\ufeffvar ModelConfig = {continuationModels: {a: 'b'}, promptModels: {}};\r\nvar APILocation = \"x\";",
        'var ModelConfig = {continuationModels: {"a": "b"}, somethingElse: {"}": "{"}}; function f() { return {}; }',
    ],
)
def test_each_spelling_gives_the_same_entries(source: str) -> None:
    assert parse(source.encode()) == {"continue": (MenuFileEntry("a", "b"),), "prompt": ()}


def test_an_entry_can_have_a_template_and_a_window() -> None:
    source = b"var ModelConfig = {promptModels: {a: {model: 'b', promptTemplate: '<s>{prompt}:', window: 512, x: 1}}}"
    assert parse(source)["prompt"] == (MenuFileEntry("a", "b", "<s>{prompt}:", 512),)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (b"", "no `var ModelConfig"),
        (b"var ModelConfig = 5;", "no `var ModelConfig"),
        (b"var ModelConfig = {\n  continuationModels: {a: 'b'\n", "line 1 is never closed"),
        (
            b"var x = 1;\nvar ModelConfig = {\n  continuationModels: {a: 'b' c: 'd'}\n};",
            "Line 3, column 31 has an unexpected",
        ),
        (b"var ModelConfig = {continuationModels: ['a']}", "continuationModels must be"),
        (b"var ModelConfig = {continuationModels: {a: 5}}", "continuationModels, 'a'"),
        (b"var ModelConfig = {continuationModels: {a: {}}}", "continuationModels, 'a'"),
        (b"var ModelConfig = {continuationModels: {'': 'b'}}", "1 to 100 printable"),
        (b"var ModelConfig = {continuationModels: {'a\\u0000': 'b'}}", "1 to 100 printable"),
        (b"var ModelConfig = {promptModels: {a: {model: 'b', promptTemplate: 'x'}}}", "{prompt}"),
        (b"var ModelConfig = {promptModels: {a: {model: 'b', window: 1.5}}}", "window"),
        (b"var ModelConfig = {promptModels: {a: {model: 'b', window: true}}}", "window"),
        (b"var ModelConfig = {promptModels: {a: 'caf\xe9'}}", "UTF-8"),
        (b"var ModelConfig = " + b"{a:" * 5000 + b"1" + b"}" * 5000, "nested too deeply"),
        (b"var ModelConfig = {promptModels: {a: '\\ud83d'}}", "half a character"),
        (b" " * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_each_mistake_is_a_sentence_that_names_its_place(source: bytes, words: str) -> None:
    with pytest.raises(MenuFileError) as caught:
        parse(source)
    message = str(caught.value)
    assert words in message
    assert message[0].isupper() or message.startswith("continuationModels")
    assert message.endswith(".")


@given(st.text(max_size=60).map(lambda text: f"var ModelConfig = {{{text}}};".encode(errors="replace")))
def test_any_text_gives_a_menu_or_a_mistake(source: bytes) -> None:
    with suppress(MenuFileError):
        assert parse(source).keys() == {"continue", "prompt"}


names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)


@given(st.dictionaries(names, names, max_size=4), st.dictionaries(names, names, max_size=4))
def test_written_entries_are_read_back(texts: dict[str, str], prompts: dict[str, str]) -> None:
    source = f"// a\nvar ModelConfig = {json.dumps({'continuationModels': texts, 'promptModels': prompts})};"
    read = parse(source.encode())
    assert {line.name: line.model for line in read["continue"]} == texts
    assert {line.name: line.model for line in read["prompt"]} == prompts
