"""How the engine starts, and how it speaks when it must end."""

from __future__ import annotations

import json

from generator.wire.frames import write_frame
from generator.wire.messages import Chunk, Imported
from tests.generator.engine.engine_process import a_set, engine_process


def test_it_writes_before_the_large_libraries_are_there() -> None:
    with engine_process(libraries=True) as engine:
        engine.send(a_set("Once", budget=1))
        engine.until_kind(Chunk)
        assert not any(isinstance(event, Imported) for event in engine.seen)


def test_its_log_is_of_objects_where_that_is_asked_for_and_quotes_nobody() -> None:
    with engine_process(log_format="json") as engine:
        write_frame(engine.socket, {"kind": "drop", "sequence": ["Zanzibar"]})
        assert engine.process.wait(timeout=10) == 4
        assert engine.process.stderr is not None
        lines = engine.process.stderr.read().decode().splitlines()
    assert [json.loads(line).keys() for line in lines] == [{"time", "level", "logger", "message"}]
    assert "Zanzibar" not in lines[0]
