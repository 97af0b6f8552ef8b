"""Story files: exports are read back unchanged, and every other file is refused with a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.errors import Refused
from stories.files.story_file import (
    WRITERS,
    DraftFile,
    InvalidImport,
    StoryFile,
    file_name,
    from_json,
    from_markdown,
    from_text,
    read_file,
    to_json,
    to_markdown,
    to_text,
)
from stories.text.span_list import SpanList
from stories.text.update import USER
from tests.stories.strategies import texts

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40)


@st.composite
def drafts(draw: st.DrawFn, mode: str) -> DraftFile:
    text = draw(texts(40))
    cut = draw(st.integers(0, len(text)))
    runs = SpanList.of_runs([(cut, USER), (len(text) - cut, "model:one")]).runs()
    values = st.none() | st.booleans() | st.integers() | names | st.lists(names, max_size=2)
    sampling = draw(st.dictionaries(names, values, max_size=3))
    premise = draw(names) if mode == "prompt" else None
    return DraftFile(text, tuple(runs), draw(names), sampling, premise)


@given(st.data(), st.sampled_from(["continue", "prompt"]), names.filter(bool))
def test_a_json_export_is_read_back_unchanged(data: st.DataObject, mode: str, title: str) -> None:
    story = StoryFile(title, mode, tuple(data.draw(st.lists(drafts(mode), min_size=1, max_size=3))))
    assert from_json(to_json(story), "unused") == story


@given(st.data(), names)
def test_text_and_markdown_exports_are_read_back_as_text_by_the_user(data: st.DataObject, title: str) -> None:
    draft = data.draw(drafts("continue"))
    by_user = DraftFile(draft.text, ((len(draft.text), USER),) if draft.text else ())
    story = StoryFile(title, "continue", (draft, data.draw(drafts("continue"))))
    assert from_text(to_text(story), "name") == StoryFile("name", "continue", (by_user,))
    expected = " ".join(title.split()) or "name"
    assert from_markdown(to_markdown(story), "name") == StoryFile(expected, "continue", (by_user,))


@pytest.mark.parametrize("extension", WRITERS)
def test_every_export_format_is_read_back_by_its_extension(extension: str) -> None:
    two = tuple(DraftFile(text, ((len(text), USER),), premise=None) for text in ("One.", "Two."))
    writer = WRITERS[extension]
    story = read_file(f"Tale.{extension}", writer.write(StoryFile("Tale", "continue", two)))
    assert story.title == "Tale"
    assert [draft.text for draft in story.drafts] == (["One.", "Two."] if writer.all_drafts else ["One."])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfone\r\ntwo\rthree\n\n", "one\ntwo\nthree\n"),
        ("naïve".encode("utf-16"), "naïve"),
        (b"", ""),
        (b"#hashtag\nstory", "#hashtag\nstory"),
        (b"# Title\nstory", "story"),
        (b"# Title", ""),
    ],
)
def test_text_files_of_other_programs_are_imported(data: bytes, text: str) -> None:
    story = read_file("My tale.MD", data)
    assert story.drafts[0].text == text
    assert story.title == ("Title" if data.startswith(b"# ") else "My tale")


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"caf\xe9", b"a\0b", b"x" * (32 * 2**20 + 1), b"\xed\xa0\x80"])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.json"])
def test_a_file_that_is_not_text_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(InvalidImport, match=r"\.$"):
        read_file(name, data)


GOOD = {
    "format": "storygen",
    "version": 1,
    "title": "T",
    "mode": "continue",
    "drafts": [{"model": "m", "sampling": {}, "premise": None, "text": "a😀", "authors": [[3, "user"]]}],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((("format",), "other"), (("version",), 2), (("mode",), "both"), (("mode",), ["continue"])),
        *((("title",), 5), (("title",), "x" * 201), (("title",), "a\nb"), (("title",), "\ud83d")),
        *((("drafts",), []), (("drafts",), {}), (("drafts",), [5]), (("drafts",), GOOD["drafts"] * 65)),  # type: ignore[operator]
        *((("drafts", 0, "text"), None), (("drafts", 0, "text"), "a\r😀"), (("drafts", 0, "text"), "\ud83daa")),
        *((("drafts", 0, "authors"), [[2, "user"]]), (("drafts", 0, "authors"), [[True, "user"], [2, "user"]])),
        *((("drafts", 0, "authors"), [[3, "admin"]]), (("drafts", 0, "authors"), [[4, "user"], [-1, "user"]])),
        *((("drafts", 0, "authors"), None), (("drafts", 0, "authors"), [[3]]), (("drafts", 0, "premise"), "p")),
        *((("drafts", 0, "sampling"), []), (("drafts", 0, "sampling"), {"a": [[]]}), (("drafts", 0, "model"), None)),
        *(
            (("drafts", 0, "sampling"), {"a": float("nan")}),
            (("drafts", 0, "sampling"), {str(i): i for i in range(65)}),
        ),
    ],
)
def test_a_json_story_with_one_invalid_value_is_refused(path: tuple[Any, ...], value: object) -> None:
    content: Any = json.loads(json.dumps(GOOD))
    assert from_json(json.dumps(content).encode(), "").title == "T"
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    with pytest.raises(InvalidImport, match=r"\.$"):
        from_json(json.dumps(content).encode(), "")


@pytest.mark.parametrize("data", [b"", b"[]", b"5", b"{", b"[" * 100_000, b"null", b"1" * 5000])
def test_json_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImport, match=r"\.$"):
        from_json(data, "")


def test_a_file_name_has_only_characters_that_file_systems_allow() -> None:
    assert file_name('A "tale": of/two\\cities?', "txt") == "A tale of two cities.txt"
    assert file_name("../..", "md") == "story.md"
    assert len(file_name("x" * 500, "json")) < 100


@pytest.mark.parametrize("name", ["virus.exe", "story", "story.txt.gz", ""])
def test_a_file_of_an_unknown_type_is_refused(name: str) -> None:
    with pytest.raises(InvalidImport, match=r"txt, md, json\.$"):
        read_file(name, b"text")


def test_a_refused_import_has_the_code_of_invalid_requests() -> None:
    with pytest.raises(Refused) as refused:
        read_file("a.json", b"{")
    assert refused.value.code == "invalid"


@pytest.mark.parametrize(
    ("name", "title"), [("My tale.txt", "My tale"), (" .md", "Untitled"), ("x" * 300 + ".txt", "x" * 200)]
)
def test_the_title_of_a_text_file_is_its_name(name: str, title: str) -> None:
    assert read_file(name, b"text").title == title


def test_a_json_file_without_a_title_is_called_after_its_name() -> None:
    untitled = json.dumps({**GOOD, "title": ""}).encode()
    assert read_file("Tale.json", untitled).title == "Tale"
