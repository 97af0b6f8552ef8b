"""What is exported comes back the same; what is no story is refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.files.story_file import (
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
def test_json_comes_back_the_same(data: st.DataObject, mode: str, title: str) -> None:
    story = StoryFile(title, mode, tuple(data.draw(st.lists(drafts(mode), min_size=1, max_size=3))))
    assert from_json(to_json(story), "unused") == story


@given(st.data(), names)
def test_text_and_markdown_come_back_as_the_users(data: st.DataObject, title: str) -> None:
    draft = data.draw(drafts("continue"))
    by_user = DraftFile(draft.text, ((len(draft.text), USER),) if draft.text else ())
    assert from_text(to_text(draft), "name") == StoryFile("name", "continue", (by_user,))
    expected = " ".join(title.split()) or "name"
    assert from_markdown(to_markdown(title, draft), "name") == StoryFile(expected, "continue", (by_user,))


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
def test_files_of_other_programs(data: bytes, text: str) -> None:
    story = read_file("My tale.MD", data)
    assert story.drafts[0].text == text
    assert story.title == ("Title" if data.startswith(b"# ") else "My tale")


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"caf\xe9", b"a\0b", b"x" * (32 * 2**20 + 1), b"\xed\xa0\x80"])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.json"])
def test_what_is_no_text(name: str, data: bytes) -> None:
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
def test_json_that_is_no_story(path: tuple[Any, ...], value: object) -> None:
    content: Any = json.loads(json.dumps(GOOD))
    assert from_json(json.dumps(content).encode(), "").title == "T"
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidImport, match=r"\.$"):
        from_json(json.dumps(content).encode(), "")


@pytest.mark.parametrize("data", [b"", b"[]", b"5", b"{", b"[" * 100_000, b"null", b"1" * 5000])
def test_json_that_is_something_else(data: bytes) -> None:
    with pytest.raises(InvalidImport, match=r"\.$"):
        from_json(data, "")


def test_names_of_files() -> None:
    assert file_name('A "tale": of/two\\cities?', "txt") == "A tale of two cities.txt"
    assert file_name("../..", "md") == "story.md"
    assert len(file_name("x" * 500, "json")) < 100
    with pytest.raises(InvalidImport):
        read_file("virus.exe", b"")
