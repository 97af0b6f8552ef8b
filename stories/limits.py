"""Limits: how much a story, a draft, an edit or an imported file may hold.

The one table that checks, the reducer, the library, imports and docs/limits.md read. Units are UTF-16 code units.
Limits of the network and of the engine process are beside the code that enforces them; docs/limits.md lists all.
"""

from __future__ import annotations

# A story
TITLE_CHARACTERS = 200
NAME_CHARACTERS = 200  # a menu name or an author
STORY_DRAFTS = 16  # drafts that one request may create
PROMPT_BYTES = 1024 * 1024  # UTF-8
PROMPT_UNITS = 1_000_000
PREMISE_UNITS = 65_536

# A draft
DRAFT_UNITS = 16_000_000
OPEN_DRAFTS = 4_000  # live drafts in one server
UNSEEN_TOKENS = 512  # a run goes this far beyond what the fastest viewer has seen
NO_VIEWER_SECONDS = 60.0  # a run without a viewer pauses after this time

# An edit
TEXT_BYTES = 256 * 1024  # UTF-8, of any text field
EDIT_UPDATES = 1_000
CHANGE_SECTIONS = 40_000  # 20,000 places changed at once; a text is walked section by section
AUTHOR_RUNS = 40_000  # of one change: undoing a replacement restores many short runs
REBASE_WORK = 400_000  # sections compared: one or two seconds, in which other drafts wait

# A page that is behind
BEHIND_UPDATES = 5_000
BEHIND_UNITS = 4_000_000  # inserted by those updates; beyond that, sending the text costs less
RECENT_UPDATES = 1_000  # kept in memory
RECENT_UNITS = 1_000_000

# An imported file
IMPORT_BYTES = 32 * 2**20
IMPORT_UNITS = 8_000_000
IMPORT_DRAFTS = 64
IMPORT_AUTHOR_RUNS = 200_000
IMPORT_SETTINGS = 64
IMPORT_VALUES = 1_000  # in one list-valued setting
