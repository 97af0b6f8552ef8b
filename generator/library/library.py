"""Library: one person's stories, as REST shows them: create, list, rename, delete, fork, export, import.

Owns the bodies of those requests. Knows nothing of HTTP: it takes and returns plain data and raises Refused. The state
of an open draft comes from its view, so nothing shown is older than the page.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from generator.drafts.group_commit import RunBlocking
from generator.drafts.open_drafts import OpenDrafts
from generator.drafts.settings import checked_premise, merged_sampling
from generator.library.history import History
from generator.models.menu import Menu
from stories.draft.state import DraftSettings, new_head
from stories.errors import Refused, UnknownDraft
from stories.files.story_file import WRITERS, DraftFile, StoryFile, file_name, read_file
from stories.limits import PROMPT_UNITS, STORY_DRAFTS, TITLE_CHARACTERS
from stories.storage.records import DraftEntry, NewDraft, NewStory, StoredDraft, Story
from stories.storage.store import Store
from stories.text.span_list import SpanList
from stories.text.update import USER
from stories.text.utf16 import to_units


class Library:
    """`run_blocking` runs all calls of the store."""

    def __init__(self, store: Store, menu: Menu, run_blocking: RunBlocking, drafts: OpenDrafts) -> None:
        self._store, self._menu, self._call, self._drafts = store, menu, run_blocking, drafts
        self._history = History(store, run_blocking)

    def stories(self, owner: str) -> dict[str, Any]:
        """Return all stories, the last changed first."""
        return {"stories": [self._story_json(story) for story in self._call(self._store.stories, owner)]}

    def story(self, owner: str, story: str) -> dict[str, Any]:
        return self._story_json(self._call(self._store.story, owner, story))

    def create_story(self, owner: str, request: dict[str, Any]) -> dict[str, Any]:
        """Create a story with one draft per entry of `models`, or `drafts` of one model. `request` is REST's body."""
        mode, prompt = request["mode"], to_units(request["prompt"])
        if len(prompt) > PROMPT_UNITS:
            raise Refused("too_large", f"A beginning holds at most {PROMPT_UNITS:,} characters.")
        sampling = merged_sampling({}, request.get("sampling", {}))
        premise = checked_premise(mode, request["prompt"]) if mode == "prompt" else None
        text = prompt if mode == "continue" else ""
        drafts = tuple(
            _new_draft(DraftSettings(model, sampling, premise), text, SpanList.of(len(text), USER))
            for model in self._models(mode, request)
        )
        title = request.get("title") or _title_of(request["prompt"])
        return self._create(owner, title, mode, drafts)

    def rename_story(self, owner: str, story: str, title: str) -> dict[str, Any]:
        return self._story_json(self._call(self._store.rename_story, owner, story, title[:TITLE_CHARACTERS]))

    def delete_story(self, owner: str, story: str) -> None:
        drafts = [draft.id for draft in self._call(self._store.story, owner, story).drafts]
        self._drafts.discard(drafts, lambda: self._call(self._store.delete_story, owner, story))

    def create_draft(self, owner: str, story: str, request: dict[str, Any]) -> dict[str, Any]:
        """Create a sibling draft: from the parent's text at a revision, or from the story's beginning."""
        entry = self._call(self._store.story, owner, story)
        if not entry.drafts:
            raise Refused("invalid", "This story has no draft to start from.")
        parent = request.get("parent") or entry.drafts[0].id
        stored = next((draft for draft in entry.drafts if draft.id == parent), None)
        if stored is None:
            raise Refused("unknown_draft", "There is no such draft in this story.")
        model = request.get("model", stored.model)
        sampling = merged_sampling(stored.head["sampling"], request.get("sampling", {}))
        self._menu.usable(entry.mode, model)
        revision = request.get("revision")
        if revision is None:
            revision = 0 if "parent" not in request else self._call(self._store.load, parent).revision
        text, spans = self._call(self._store.text_at, parent, revision)
        settings = DraftSettings(model, sampling, stored.head["premise"])
        draft = _new_draft(settings, text, spans, parent, revision)
        after = self._call(self._store.add_draft, owner, story, draft)
        return next(self._draft_json(made) for made in after.drafts if made.id == draft.id)

    def history(self, owner: str, draft: str) -> dict[str, Any]:
        """Return when each part of the draft's text was written."""
        self._check_owner(owner, draft)
        times = self._history.times(draft)
        return {"revision": times.revision, "written": [list(run) for run in times.runs]}

    def delete_draft(self, owner: str, draft: str) -> None:
        self._check_owner(owner, draft)
        self._drafts.discard([draft], lambda: self._call(self._store.delete_draft, owner, draft))

    def export(self, owner: str, draft: str, wanted: str) -> tuple[bytes, str, str]:
        """Return a file, its media type and its name. `wanted` is a format of `WRITERS`."""
        writer = WRITERS.get(wanted)
        if writer is None:
            raise Refused("invalid", f"A draft can be exported as {', '.join(WRITERS)}.")
        chosen = self._stored(owner, draft)
        story = self._call(self._store.story, owner, chosen.story)
        stored = [self._stored(owner, entry.id) for entry in story.drafts] if writer.all_drafts else [chosen]
        data = writer.write(StoryFile(story.title, story.mode, tuple(map(_draft_file, stored))))
        return data, writer.media_type, file_name(story.title, wanted)

    def import_story(self, owner: str, data: bytes, filename: str | None) -> dict[str, Any]:
        """Create a story from a file. The first available model replaces a model that the menu does not have."""
        file = read_file(filename or "story.json", data)
        drafts = tuple(self._imported(file.mode, draft) for draft in file.drafts)
        return self._create(owner, file.title, file.mode, drafts)

    def _create(self, owner: str, title: str, mode: str, drafts: tuple[NewDraft, ...]) -> dict[str, Any]:
        story = NewStory(secrets.token_hex(16), title[:TITLE_CHARACTERS], mode, drafts)
        return self._story_json(self._call(self._store.create_story, owner, story))

    def _imported(self, mode: str, file: DraftFile) -> NewDraft:
        is_known = self._menu.find(mode, file.model) is not None
        model = file.model if is_known else self._menu.first_available(mode)
        settings = DraftSettings(model, merged_sampling({}, file.sampling), file.premise)
        return _new_draft(settings, file.text, SpanList.of_runs(file.authors))

    def _stored(self, owner: str, draft: str) -> StoredDraft:
        stored = self._call(self._store.load, draft)
        if stored.owner != owner:
            raise UnknownDraft
        return stored

    def _check_owner(self, owner: str, draft: str) -> None:
        if self._call(self._store.draft_owner, draft) != owner:
            raise UnknownDraft

    def _models(self, mode: str, request: dict[str, Any]) -> Sequence[str]:
        models = request.get("models")
        if models is None:
            model = request.get("model") or self._menu.first_available(mode)
            models = [model] * request.get("drafts", 1)
        if not 1 <= len(models) <= STORY_DRAFTS:
            raise Refused("invalid", f"A story begins with 1 to {STORY_DRAFTS} drafts.")
        for model in models:
            self._menu.usable(mode, model)
        return list(models)

    def _story_json(self, story: Story) -> dict[str, Any]:
        views = [live.view for draft in story.drafts if (live := self._drafts.if_open(draft.id))]
        return {
            "id": story.id,
            "title": story.title,
            "mode": story.mode,
            "updated": story.updated,
            "words": max([story.words, *(view.num_words for view in views)]),
            "drafts": [self._draft_json(draft) for draft in story.drafts],
        }

    def _draft_json(self, draft: DraftEntry) -> dict[str, Any]:
        live = self._drafts.if_open(draft.id)
        body: dict[str, Any] = {"id": draft.id, "model": draft.model, "state": live.view.phase if live else "paused"}
        if draft.parent:
            body["parent"] = draft.parent
            body["forked_at"] = draft.forked_at
        return body


def _draft_file(stored: StoredDraft) -> DraftFile:
    head = stored.head
    return DraftFile(stored.text, tuple(stored.spans.runs()), head["model"], head["sampling"], head["premise"])


def _new_draft(
    settings: DraftSettings, text: str, spans: SpanList, parent: str | None = None, revision: int | None = None
) -> NewDraft:
    head = new_head(settings, spans)
    return NewDraft(secrets.token_hex(16), settings.model, head, text, spans, parent, revision)


def _title_of(prompt: str) -> str:
    """The prompt's first line, cut at a word."""
    line = next((line.strip() for line in prompt.splitlines() if line.strip()), "Untitled")
    if len(line) <= 60:
        return line
    return line[:60].rsplit(" ", 1)[0].rstrip(",;:") + "…"
