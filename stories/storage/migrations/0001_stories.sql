-- Ids are 128 bit in hex, given by the program; "key" is the short number that big tables use instead.

CREATE TABLE story (
    id      TEXT PRIMARY KEY,
    owner   TEXT NOT NULL,
    title   TEXT NOT NULL,
    mode    TEXT NOT NULL CHECK (mode IN ('continue', 'prompt')),
    updated REAL NOT NULL                        -- seconds since 1970
) WITHOUT ROWID;

CREATE INDEX story_of_owner ON story (owner, updated);

CREATE TABLE draft (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    id        TEXT NOT NULL UNIQUE,
    story     TEXT NOT NULL REFERENCES story (id) ON DELETE CASCADE,
    parent    TEXT REFERENCES draft (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    forked_at INTEGER,                           -- the parent's revision
    revision  INTEGER NOT NULL,                  -- number of updates applied; those are 1 to revision in "log"
    model     TEXT NOT NULL,
    head      TEXT NOT NULL,                     -- JSON: settings, run, whatever else is durable
    words     INTEGER NOT NULL,                  -- as of the newest snapshot
    unfolded  INTEGER NOT NULL                   -- bytes in "log" after the newest snapshot
);

CREATE INDEX draft_of_story ON draft (story);
CREATE INDEX draft_of_parent ON draft (parent);

CREATE TABLE log (
    draft     INTEGER NOT NULL REFERENCES draft (key) ON DELETE CASCADE,
    revision  INTEGER NOT NULL,                  -- the one this update leads to
    at        REAL NOT NULL,
    client    TEXT NOT NULL,
    author    TEXT NOT NULL,
    inserted  INTEGER NOT NULL,                  -- UTF-16 units
    deleted   INTEGER NOT NULL,
    changes   TEXT NOT NULL,                     -- JSON, CodeMirror's form
    tokens    TEXT,                              -- JSON: [[id, length, logprob], ...]
    tokenizer TEXT NOT NULL,
    authors   TEXT,                              -- JSON: [[length, author], ...]
    PRIMARY KEY (draft, revision)
) WITHOUT ROWID;

CREATE TABLE snapshot (
    draft    INTEGER NOT NULL REFERENCES draft (key) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    text     TEXT NOT NULL,
    spans    BLOB NOT NULL,                      -- zlib of one JSON span per line
    PRIMARY KEY (draft, revision)
);
