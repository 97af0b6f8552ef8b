"""The fake model: instant and deterministic, and its next token depends on every token in its window.

Owns a toy vocabulary and a `Runner` whose slots hold a running hash per position, so that a mistake in
reusing, recomputing or sharing slots changes what it writes. For tests and for trying the program; no torch.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from generator.engine.networks.runner import MAX_SLOTS, BatchItem, LoadFailed
from generator.engine.sampling.sampler import Floats
from generator.engine.tokens.vocabulary import Vocabulary
from generator.wire.messages import ModelSpec

_WORD_LIST = (
    "a all and apple as at autumn before bird blue boat bridge but by candle city cloud day deep door dream"
    " evening far field fire for forest garden gate girl gold green hand high hill home house in into island"
    " king lantern letter light long moon morning mountain name near night of old on once one over path"
    " quiet rain river road sea silver small snow song star stone storm the then there through time to tree"
    " under upon voice water where white wind window winter with wolf wood"
)
_WORDS = tuple(" " + word for word in _WORD_LIST.split())
_SENTENCE_END = ".\n\n"
# An emoji is written as two tokens, neither of which is a whole character.
_EMOJI_HEAD = b" \xf0\x9f"
_EMOJI_TAILS = (b"\x8c\x8a", b"\x8c\x99", b"\x90\xba", b"\x94\xa5")
_END = "<|endoftext|>"

_PIECES = (*(word.encode() for word in _WORDS), _SENTENCE_END.encode(), _EMOJI_HEAD, *_EMOJI_TAILS)
_TOKEN_BYTES = (*(bytes([byte]) for byte in range(256)), *_PIECES, b"")
_IDS = {written: token_id for token_id, written in enumerate(_TOKEN_BYTES) if written}
_END_ID = len(_TOKEN_BYTES) - 1
_WORD_IDS = tuple(_IDS[word.encode()] for word in _WORDS)
_TAIL_IDS = tuple(_IDS[tail] for tail in _EMOJI_TAILS)
# Plain text is tokenized into words and bytes: a word only where it ends, so that typing on re-tokenizes it.
_PATTERN = re.compile(
    b"|".join(re.escape(w.encode()) + rb"(?![a-z])" for w in sorted(_WORDS, reverse=True)) + rb"|(?s:.)"
)

_DEFAULT_WINDOW = 1024
_HASH_PRIME, _HASH_MASK = 0x100000001B3, (1 << 64) - 1


def load_fake(spec: ModelSpec, report: Callable[[float], None]) -> FakeRunner:
    """The fake named by `spec.location`: `instant`, `paced-N` (tokens per second), `slow-load`, `raises-N` and
    `crash-N` (at the Nth forward). Raises LoadFailed for other names."""
    name, _, number = spec.location.partition("-")
    if name == "slow" and number == "load":
        for step in range(1, 11):
            time.sleep(0.1)
            report(step / 10)
        return FakeRunner(spec.window)
    if name == "instant" and not number:
        return FakeRunner(spec.window)
    if name in ("paced", "raises", "crash") and number.isdecimal() and int(number) > 0:
        return FakeRunner(spec.window, **{name: int(number)})
    raise LoadFailed(f"There is no fake model named {spec.location!r}.")


class FakeRunner:
    precision = "fp32"

    def __init__(self, window: int | None = None, paced: int = 0, raises: int = 0, crash: int = 0) -> None:
        self.vocabulary = fake_vocabulary()
        self.window = window or _DEFAULT_WINDOW
        self.num_slots = MAX_SLOTS
        self.seconds_per_token = 1 / paced if paced else 0.0
        self._raises, self._crash = raises, crash
        self._forwards = 0
        self.slot_bytes = 8 * self.window
        self._hashes: npt.NDArray[np.uint64] = np.zeros((self.num_slots, self.window), dtype=np.uint64)

    def forward(self, rows: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        self._forwards += 1
        if self._forwards == self._crash:
            os._exit(70)
        if self._forwards == self._raises:
            raise RuntimeError(f"the fake model was told to fail at forward {self._raises}")
        logits = []
        for row in rows:
            state = int(self._hashes[row.slot, row.past - 1]) if row.past else 0
            _, *states = accumulate(row.token_ids, _next_state, initial=state)
            self._hashes[row.slot, row.past : row.past + len(states)] = states
            if row.wants_logits:
                logits.append(_logits(states[-1], row.token_ids[-1]))
        return np.stack(logits) if logits else np.zeros((0, len(_TOKEN_BYTES)), dtype=np.float32)

    def copy_slot(self, source: int, target: int, num_tokens: int) -> None:
        self._hashes[target, :num_tokens] = self._hashes[source, :num_tokens]


def fake_vocabulary() -> Vocabulary:
    return Vocabulary(
        token_bytes=_TOKEN_BYTES,
        special={_END: _END_ID},
        start_id=_END_ID,
        end_ids=frozenset({_END_ID}),
        size=len(_TOKEN_BYTES),
        fingerprint="fake-1",
        encode=_encode,
    )


def _encode(text: str) -> tuple[list[int], list[int]]:
    # The tokens spell the text byte for byte, so nobody needs to know where they end in it.
    return [_IDS[written] for written in _PATTERN.findall(text.encode())], []


def _next_state(state: int, token_id: int) -> int:
    mixed = ((state ^ (token_id + 1)) * _HASH_PRIME) & _HASH_MASK
    return mixed ^ (mixed >> 29)


def _logits(state: int, last_id: int) -> Floats:
    """A clear favourite, seven others that chance may pick, and next to nothing for the rest."""
    logits = np.full(len(_TOKEN_BYTES), -20, dtype=np.float32)
    if last_id == _IDS[_EMOJI_HEAD]:
        logits[_TAIL_IDS[state % len(_TAIL_IDS)]] = 20
        return logits
    for rank in range(8):
        logits[_WORD_IDS[(state >> (7 * rank)) % len(_WORD_IDS)]] = 4 + rank / 2
    surprise = (state >> 56) % 32
    if surprise == 0:
        logits[_IDS[_EMOJI_HEAD]] = 12
    elif surprise in (1, 2):
        logits[_IDS[_SENTENCE_END.encode()]] = 12
    logits[_END_ID] = 12 if (state >> 48) % 64 == 0 else -5
    return logits
