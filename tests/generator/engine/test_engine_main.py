"""Engine process: starts with valid options only, and serves all commands over a real socket."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from generator.wire.frames import ConnectionClosed, read_frame
from generator.wire.messages import (
    Alternatives,
    AlternativesReady,
    Budget,
    Chunk,
    Drop,
    Ended,
    Failed,
    Imported,
    ModelSpec,
    Piece,
    Ping,
    Pong,
    Rolled,
    Status,
)
from generator.wire.sampling_params import SamplingParams
from tests.generator.engine.engine_process import FAKE, EngineProcess, a_set, engine_process


def read_tokens(engine: EngineProcess, count: int, sequence: str = "s", epoch: int = 1) -> list[Chunk]:
    """Read events until one epoch has at least `count` tokens. Return its chunks."""
    while True:
        chunks = [e for e in engine.seen if isinstance(e, Chunk) and (e.sequence, e.epoch) == (sequence, epoch)]
        if sum(len(chunk.tokens) for chunk in chunks) >= count:
            return chunks
        engine.next()


def read_to_the_end(engine: EngineProcess) -> None:
    while True:
        read_frame(engine.socket)


def test_the_engine_ends_with_its_connection_while_it_writes() -> None:
    with engine_process() as engine:
        engine.send(a_set("Once", budget=10**9))
        assert "".join(chunk.text for chunk in read_tokens(engine, 50))
        engine.socket.close()
        assert engine.process.wait(timeout=10) == 0


def test_the_engine_writes_the_same_text_after_a_restart() -> None:
    texts = []
    for _ in range(2):
        with engine_process() as engine:
            engine.send(a_set("Once", sampling=SamplingParams(seed=5), budget=40))
            texts.append("".join(chunk.text for chunk in read_tokens(engine, 40)))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("line", [b"", b"nonsense\n", b"[]\n", b'{"port": 1}\n'])
def test_wrong_options_end_the_start_with_a_reason(line: bytes) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "generator.engine"],
        input=line,
        capture_output=True,
        cwd=Path(__file__).parents[3],
        timeout=30,
        check=False,
    )
    assert result.returncode == 2
    assert b"options" in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_web_process_that_does_not_listen_ends_the_start_with_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    result = subprocess.run(
        [sys.executable, "-m", "generator.engine"],
        input=json.dumps({"port": port, "token": "t"}).encode() + b"\n",
        capture_output=True,
        cwd=Path(__file__).parents[3],
        timeout=30,
        check=False,
    )
    assert result.returncode == 3
    assert b"does not listen" in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_pause_is_final_for_the_epoch() -> None:
    with engine_process() as engine:
        engine.send(a_set("Once", budget=10**9))
        read_tokens(engine, 20)
        engine.send(Budget("s", 1, 0), a_set("Mark", sequence="mark", budget=1))
        engine.until(lambda event: isinstance(event, Chunk) and event.sequence == "mark")
        engine.send(Ping())
        engine.until_kind(Pong)
        begin = len(engine.seen)
        engine.send(Budget("s", 0, 10**9), Budget("s", 2, 10**9), a_set("Mark", sequence="mark", epoch=2, budget=50))
        read_tokens(engine, 50, "mark", epoch=2)
        assert not [e for e in engine.seen[begin:] if isinstance(e, Chunk) and e.sequence == "s"]


def test_the_last_of_many_fast_edits_decides_the_text() -> None:
    """300 contexts arrive as fast as possible. The text is the same as with the last context alone."""
    chance = random.Random(4)
    words = ["Once", " upon", " a", " time", " the", " 🌊", "\n"]
    text = "".join(chance.choice(words) for _ in range(300))
    with engine_process() as engine:
        for epoch in range(1, 301):
            engine.send(a_set(text[: epoch * 3], epoch=epoch, budget=10**6 if epoch < 300 else 30))
        stormy = "".join(chunk.text for chunk in read_tokens(engine, 30, epoch=300))
        engine.send(a_set(text[:900], sequence="calm", budget=30))
        calm = "".join(chunk.text for chunk in read_tokens(engine, 30, "calm"))
    assert stormy == calm
    epochs = [event.epoch for event in engine.seen if isinstance(event, Chunk) and event.sequence == "s"]
    assert epochs == sorted(epochs)


def test_an_error_of_a_forward_fails_only_its_sequences() -> None:
    with engine_process() as engine:
        broken = ModelSpec("fake", "raises-5")
        engine.send(a_set("Once", model=broken, budget=100))
        failed = engine.until_kind(Failed)
        assert (failed.sequence, failed.message) == ("s", "The model failed while computing.")
        engine.send(a_set("Once", model=broken, epoch=2, budget=10), a_set("Once", sequence="other", budget=10))
        again = read_tokens(engine, 10, epoch=2)
        other = read_tokens(engine, 10, "other")
        assert "".join(c.text for c in again) == "".join(c.text for c in other)


def test_a_crash_ends_the_process() -> None:
    with engine_process() as engine:
        engine.send(a_set("Once", model=ModelSpec("fake", "crash-20"), budget=100))
        with pytest.raises(ConnectionClosed):
            read_to_the_end(engine)
        assert engine.process.wait(timeout=10) == 70


def test_other_sequences_write_while_a_model_loads() -> None:
    slow = ModelSpec("fake", "slow-load")
    with engine_process() as engine:
        engine.send(a_set("", sequence="first"))
        engine.until(lambda event: isinstance(event, Status) and event.state == "ready")
        engine.send(a_set("Once", sequence="waiting", model=slow, budget=5), a_set("Once", budget=20))
        read_tokens(engine, 20)
        read_tokens(engine, 5, "waiting")
    states = [(e.state, e.progress) for e in engine.seen if isinstance(e, Status) and e.model == slow]
    assert states[0] == ("loading", 0.0)
    assert states[-1] == ("ready", 1.0)
    assert [progress for _, progress in states] == sorted(progress for _, progress in states)
    first = engine.seen.index(next(e for e in engine.seen if isinstance(e, Chunk)))
    ready = max(n for n, e in enumerate(engine.seen) if isinstance(e, Status) and e.model == slow)
    assert first < ready


@pytest.mark.parametrize("spec", [ModelSpec("fake", "unheard-of"), ModelSpec("fake", "instant", 4)])
def test_a_model_that_cannot_be_loaded_fails_its_sequences_with_a_reason(spec: ModelSpec) -> None:
    with engine_process() as engine:
        engine.send(a_set("Once", model=spec, budget=5))
        failed = engine.until_kind(Failed)
        (reason,) = [event.reason for event in engine.seen if isinstance(event, Status) and event.state == "failed"]
        assert failed.message == reason
        assert failed.message.endswith(".")


def test_a_model_ends_the_text_only_after_the_minimum_length() -> None:
    ending = SamplingParams(temperature=1, seed=2, stop_at_end=True, min_length=30)
    with engine_process() as engine:
        engine.send(a_set("Once", sampling=ending, run_tokens=10, budget=10**9))
        engine.until_kind(Ended)
        count = sum(len(e.tokens) for e in engine.seen if isinstance(e, Chunk))
        assert count >= 20
        begin = len(engine.seen)
        engine.send(Budget("s", 1, 10**9), a_set("Once", sequence="endless", budget=1000))
        read_tokens(engine, 1000, "endless")
        assert not [e for e in engine.seen[begin:] if isinstance(e, Ended) or getattr(e, "sequence", "") == "s"]


def test_a_question_for_alternatives_does_not_change_the_sequence() -> None:
    with engine_process() as engine:
        engine.send(a_set("Once", budget=30), a_set("Once", sequence="twin", budget=60))
        written = "".join(chunk.text for chunk in read_tokens(engine, 30))
        first = engine.seen.index(next(e for e in engine.seen if isinstance(e, Chunk)))
        chunks = [e for e in engine.seen[first:] if isinstance(e, Chunk) and e.sequence == "s"]
        pieces = (
            Piece("Once"),
            Piece(
                written,
                tuple(t[0] for c in chunks for t in c.tokens),
                tuple(t[1] for c in chunks for t in c.tokens),
                chunks[0].tokenizer,
            ),
        )
        at = len("Once") + len(chunks[0].text) + 1
        engine.send(Alternatives("r1", "s", FAKE, None, (), pieces, at), Budget("s", 1, 60))
        answer = engine.until_kind(AlternativesReady)
        assert (answer.start, answer.end) == (at - 1, at - 1 + len(chunks[1].text))
        probabilities = [probability for _, probability in answer.options]
        assert probabilities == sorted(probabilities, reverse=True)
        assert answer.options[0][0] == chunks[1].text
        read_tokens(engine, 58)
        read_tokens(engine, 58, "twin")
    both = ["".join(e.text for e in engine.seen if isinstance(e, Chunk) and e.sequence == s) for s in ("s", "twin")]
    shorter = min(map(len, both))
    assert both[0][:shorter] == both[1][:shorter]


def test_a_text_that_the_tokenizer_cannot_read_fails_only_its_sequence() -> None:
    """The page never sends a lone surrogate. If one arrives, other sequences continue."""
    with engine_process() as engine:
        engine.send(a_set("\ud800", budget=5), a_set("Once", sequence="other", budget=5))
        assert engine.until_kind(Failed).message == "The model's tokenizer could not read the text."
        read_tokens(engine, 5, "other")
        engine.send(Alternatives("r", "s", FAKE, None, (), (Piece("\ud800"),), 0))
        assert engine.until_kind(AlternativesReady).error.endswith(".")


def test_a_question_for_alternatives_loads_its_model() -> None:
    missing = ModelSpec("fake", "nothing-of-this-name")
    with engine_process() as engine:
        engine.send(Alternatives("r1", "s", FAKE, None, (), (Piece("Once"),), 4))
        assert len(engine.until_kind(AlternativesReady).options) > 1
        engine.send(Alternatives("r2", "s", missing, None, (), (Piece("Once"),), 4))
        assert engine.until_kind(AlternativesReady).error.endswith(".")


def test_a_dropped_sequence_stops_and_begins_anew_with_its_next_context() -> None:
    with engine_process() as engine:
        engine.send(a_set("Once", epoch=7, budget=10**9))
        read_tokens(engine, 5, epoch=7)
        engine.send(Drop("s"), a_set("Once", epoch=2, budget=5))
        read_tokens(engine, 5, epoch=2)
        epochs = [event.epoch for event in engine.seen if isinstance(event, Chunk)]
        assert epochs == sorted(epochs, reverse=True)


def test_a_sequence_writes_over_many_windows() -> None:
    with engine_process() as engine:
        engine.send(a_set("Once", model=ModelSpec("fake", "instant", 64), budget=2000))
        chunks = read_tokens(engine, 2000)
    rolled = [event.base for event in engine.seen if isinstance(event, Rolled)]
    assert rolled == sorted(set(rolled))
    assert len(rolled) >= 2000 // 40
    assert all(sum(length for _, length, _ in c.tokens) == len(c.text.encode("utf-16-le")) // 2 for c in chunks)


def test_the_fake_model_writes_before_the_large_libraries_are_imported() -> None:
    with engine_process(libraries=True) as engine:
        engine.send(a_set("Once", budget=1))
        engine.until_kind(Chunk)
        assert not any(isinstance(event, Imported) for event in engine.seen)
