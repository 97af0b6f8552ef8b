"""Fake model: an instant, deterministic model for tests and for trying the program without torch.

Its next token depends on every token in the window: the slots hold a running hash per position, so a mistake in
reusing, recomputing or sharing slots changes its text. Owns a toy vocabulary and a `Runner`. Knows nothing of text
beyond its vocabulary, of sampling or of scheduling.
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
from generator.engine.sampling.arrays import Floats
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
# An emoji consists of two tokens, so that tokens with incomplete characters occur.
_EMOJI_HEAD = b" \xf0\x9f"
_EMOJI_TAILS = (b"\x8c\x8a", b"\x8c\x99", b"\x90\xba", b"\x94\xa5")
_END = "<|endoftext|>"

_LONG_TOKENS = (*(word.encode() for word in _WORDS), _SENTENCE_END.encode(), _EMOJI_HEAD, *_EMOJI_TAILS)
_TOKEN_BYTES = (*(bytes([byte]) for byte in range(256)), *_LONG_TOKENS, b"")
_IDS = {spelling: token_id for token_id, spelling in enumerate(_TOKEN_BYTES) if spelling}
_END_ID = len(_TOKEN_BYTES) - 1
_WORD_IDS = tuple(_IDS[word.encode()] for word in _WORDS)
_TAIL_IDS = tuple(_IDS[tail] for tail in _EMOJI_TAILS)
# Text is split into words and single bytes. A letter after a word splits the word into bytes, so that typing at the end
# of a text changes its last tokens.
_PATTERN = re.compile(
    b"|".join(re.escape(w.encode()) + rb"(?![a-z])" for w in sorted(_WORDS, reverse=True)) + rb"|(?s:.)"
)

_DEFAULT_WINDOW = 1024
_HASH_PRIME, _HASH_MASK = 0x100000001B3, (1 << 64) - 1


def load_fake(spec: ModelSpec, on_progress: Callable[[float], None]) -> FakeRunner:
    """Return the fake model named by `spec.location`. Raise LoadFailed for an unknown name.

    The names are `instant`, `paced-N` (N tokens per second), `slow-load` (one second), `raises-N` and `crash-N` (at
    the Nth forward).
    """
    name, _, number = spec.location.partition("-")
    if name == "slow" and number == "load":
        for step in range(1, 11):
            time.sleep(0.1)
            on_progress(step / 10)
        return FakeRunner(spec.window)
    if name == "instant" and not number:
        return FakeRunner(spec.window)
    if name in ("paced", "raises", "crash") and number.isdecimal() and int(number) > 0:
        return FakeRunner(spec.window, **{name: int(number)})
    raise LoadFailed(f"There is no fake model named {spec.location!r}.")


class FakeRunner:
    """A `Runner` without a network. At most one of `paced`, `raises` and `crash` is not 0; see `load_fake`."""

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

    def forward(self, items: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        """Advance the slots' hashes and return logits that depend on them alone. Ignore `should_stop`."""
        self._forwards += 1
        if self._forwards == self._crash:
            os._exit(70)
        if self._forwards == self._raises:
            raise RuntimeError(f"the fake model was told to fail at forward {self._raises}")
        logits = []
        for item in items:
            state = int(self._hashes[item.slot, item.start - 1]) if item.start else 0
            _, *states = accumulate(item.token_ids, _next_state, initial=state)
            self._hashes[item.slot, item.start : item.start + len(states)] = states
            if item.wants_logits:
                logits.append(_logits(states[-1], item.token_ids[-1]))
        return np.stack(logits) if logits else np.zeros((0, len(_TOKEN_BYTES)), dtype=np.float32)

    def copy_slot(self, source: int, target: int, num_tokens: int) -> None:
        """Copy the first `num_tokens` positions of slot `source` to slot `target`."""
        self._hashes[target, :num_tokens] = self._hashes[source, :num_tokens]


def fake_vocabulary() -> Vocabulary:
    """Return all single bytes, some words, and the parts of some emoji."""
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
    # No token ends are needed, because the tokens spell the text byte for byte.
    return [_IDS[spelling] for spelling in _PATTERN.findall(text.encode())], []


def _next_state(state: int, token_id: int) -> int:
    mixed = ((state ^ (token_id + 1)) * _HASH_PRIME) & _HASH_MASK
    return mixed ^ (mixed >> 29)


def _logits(state: int, last_id: int) -> Floats:
    """Return eight probable words and sometimes an emoji, a sentence end or the end token far above them.

    After the first half of an emoji only one of its second halves is probable.
    """
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
