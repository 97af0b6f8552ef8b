"""The path of an edit: the project's files, functions and calls from the namespace to the acknowledgement.

Run it as `python -m benchmarks.edit_path`; it takes a second. The objects are real, from `StoryNamespace` to the store.
Only the engine process is replaced by a recorder, and no page is connected. A model has written text, and a page
inserts a word into it. The script counts all calls of the project's functions between `StoryNamespace.answer` and its
return, also on the draft's own thread and on the thread of the group commit. The socket guard before and the engine
process after are not part of the path. The draft's thread goes on after the answer, so single calls at its end may or
may not be counted.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import socketio  # type: ignore[import-untyped]
from flask import Flask, Request, Response

from generator.drafts.open_drafts import OpenDrafts
from generator.wire.messages import Chunk
from stories.draft.state import DraftSettings, new_head
from stories.storage.records import NewDraft, NewStory
from stories.storage.store import Store
from stories.text.span_list import SpanList
from stories.text.update import USER
from tests.generator.drafts.draft_room import RecordingEngine, call, menu_with_fakes
from web.broadcaster import Broadcaster
from web.metrics import Metrics
from web.namespace import PROTOCOL, StoryNamespace
from web.owner import Owners

ROOT = Path(__file__).parents[1]
PROJECT = ("stories", "generator", "web")
PAGE, DRAFT, TEXT, WORD = "page", "d" * 32, "Once upon a time", " and"
PATIENCE_SECONDS = 10.0


class CallCounter:
    """Counts the calls of the project's functions while `is_counting`, in the order of the first call of each."""

    def __init__(self) -> None:
        self.is_counting = False
        self.calls: Counter[CodeType] = Counter()
        self.files: list[str] = []

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or not self.is_counting:
            return
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PROJECT:
            self.calls[frame.f_code] += 1
            self.files.append(path.relative_to(ROOT).as_posix())

    @property
    def file_changes(self) -> int:
        """The number of calls that lead from one file to another one, in the order of time over all threads."""
        return sum(before != after for before, after in zip(self.files, self.files[1:], strict=False))


class PageRequest(Request):
    """The request of a page, with Socket.IO's id of its connection."""

    sid = PAGE


@contextmanager
def open_drafts(folder: Path, broadcaster: Broadcaster, engines: list[RecordingEngine]) -> Iterator[OpenDrafts]:
    """The drafts of a store with one story, until the block ends. Its engine is added to `engines`."""
    store = Store(folder / "stories.db")
    spans = SpanList.of(len(TEXT), USER)
    draft = NewDraft(DRAFT, "Fake", new_head(DraftSettings("Fake", {}, None), spans), TEXT, spans)
    store.create_story("owner", NewStory("s" * 32, "Title", "continue", (draft,)))

    def make_engine(**reports: Any) -> RecordingEngine:
        engines.append(RecordingEngine(**reports))
        return engines[-1]

    menu = menu_with_fakes(folder)
    drafts = OpenDrafts(
        store, menu, call, broadcaster.publish, make_engine, lambda since_edit, since_hold: None, lambda: 0.0, call
    )
    try:
        yield drafts
    finally:
        drafts.close()
        store.close()


def connect(namespace: StoryNamespace, owners: Owners) -> None:
    """Connect the page, as Flask-SocketIO does."""
    app = Flask("edit_path")
    app.request_class = PageRequest
    response = Response()
    owners.remember(response, "owner")
    cookie = response.headers["Set-Cookie"].partition(";")[0]
    with app.test_request_context(headers={"Cookie": cookie}):
        namespace.on_connect({"protocol": PROTOCOL})


def answer(namespace: StoryNamespace, event: str, **data: object) -> Mapping[str, Any]:
    """The acknowledgement of an event of the page, which must be `ok`."""
    reply = namespace.answer(PAGE, event, {"draft": DRAFT, **data})
    assert reply["ok"], reply
    return reply


def write(drafts: OpenDrafts, engine: RecordingEngine, epoch: int) -> int:
    """Let the model write four words. Returns the revision after them."""
    live_draft = drafts.if_open(DRAFT)
    assert live_draft is not None
    before = live_draft.view.state.revision
    tokens = tuple((number, len(WORD), -1.0) for number in range(4))
    engine.reports["on_event"](Chunk(DRAFT, epoch, WORD * 4, tokens, "tokenizer"))
    shown = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        if live_draft.view.state.revision > before:
            break
        shown.wait(0.01)
    return live_draft.view.state.revision


def insert(namespace: StoryNamespace, drafts: OpenDrafts, revision: int) -> None:
    """Insert a word after the first one, as an edit of the page."""
    live_draft = drafts.if_open(DRAFT)
    assert live_draft is not None
    length = len(live_draft.view.state.text)
    updates = [{"changes": [4, [0, " more"], length - 4]}]
    answer(namespace, "edit", revision=revision, client="c" * 32, updates=updates)


def count_one_edit(folder: Path, counter: CallCounter) -> None:
    """Count the calls of the second edit: the first one fills caches."""
    metrics, owners = Metrics(), Owners(b"k" * 32, 5000, secure=False)
    broadcaster = Broadcaster(socketio.Server(async_mode="threading"), metrics, lambda sid: False, lambda sid: None)
    engines: list[RecordingEngine] = []
    with open_drafts(folder, broadcaster, engines) as drafts:
        namespace = StoryNamespace(drafts, owners, broadcaster, metrics, lambda: False, lambda sid, seconds: None)
        connect(namespace, owners)
        answer(namespace, "open")
        broadcaster.answered(PAGE)
        epoch = answer(namespace, "start")["epoch"]
        for is_counted in (False, True):
            revision = write(drafts, engines[0], epoch)
            counter.is_counting = is_counted
            insert(namespace, drafts, revision)
            counter.is_counting = False
            epoch += 1


def show(counter: CallCounter) -> None:
    """Print a line for each file, in the order of its first call, and the totals."""
    print(f"{'file':45}{'functions':>10}{'calls':>7}")
    for name in dict.fromkeys(counter.files):
        codes = [code for code in counter.calls if code.co_filename == str(ROOT / name)]
        print(f"{name:45}{len(codes):10}{sum(counter.calls[code] for code in codes):7}")
    files, functions, calls = len(set(counter.files)), len(counter.calls), counter.calls.total()
    print(f"{files} files, {functions} functions, {calls} calls, {counter.file_changes} changes of file")


def main() -> None:
    counter = CallCounter()
    threading.setprofile(counter)
    sys.setprofile(counter)
    try:
        with tempfile.TemporaryDirectory() as folder:
            count_one_edit(Path(folder), counter)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    show(counter)


if __name__ == "__main__":
    main()
