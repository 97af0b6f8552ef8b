"""Pretrained vocabulary: a transformers tokenizer as the engine's `Vocabulary`.

Owns how a token's spelling becomes bytes. Knows nothing of pieces, windows or sampling.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from generator.engine.networks.runner import LoadFailed
from generator.engine.tokens.vocabulary import Vocabulary

_START = "<|endoftext|>"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def read_vocabulary(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> Vocabulary:
    """Raises LoadFailed for a tokenizer that does not fit the model."""
    backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise LoadFailed("The model's tokenizer is of a kind that is not supported.")
    # Whatever a text says, it never becomes a special token.
    backend.encode_special_tokens = True
    backend.no_truncation()
    backend.no_padding()
    size = int(model.get_output_embeddings().weight.shape[0])
    special = _special_tokens(tokenizer, backend)
    names = {token_id: name for name, token_id in backend.get_vocab(with_added_tokens=True).items()}
    if any(token_id >= size and token_id not in special.values() for token_id in names):
        raise LoadFailed("The tokenizer has tokens that the model does not know.")
    special = {name: token_id for name, token_id in special.items() if token_id < size}
    end_ids = _end_ids(tokenizer, model, special)
    return Vocabulary(
        token_bytes=_spellings(backend, names, frozenset(special.values()), size),
        special=special,
        start_id=_start_id(tokenizer, special, size),
        end_ids=frozenset(token_id for token_id in end_ids if token_id < size),
        size=size,
        fingerprint=_fingerprint(backend),
        encode=lambda text: _encode(backend, text),
    )


def byte_of_letter() -> dict[str, int]:
    """Byte-level BPE spells each byte as a letter: printable ones as themselves, the others from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return letters | {chr(0x100 + number): byte for number, byte in enumerate(others)}


def _encode(backend: Tokenizer, text: str) -> tuple[list[int], list[int]]:
    encoding = backend.encode(text, add_special_tokens=False)
    return encoding.ids, [end for _, end in encoding.offsets]


def _spellings(backend: Tokenizer, names: dict[int, str], special: frozenset[int], size: int) -> tuple[bytes, ...]:
    """What each token writes; nothing for special tokens and for ids without a token."""
    decoder = str(json.loads(backend.to_str()).get("decoder"))
    added = {token_id: str(token.content) for token_id, token in backend.get_added_tokens_decoder().items()}
    letters = byte_of_letter()
    spelled: list[bytes] = []
    for token_id in range(size):
        name = names.get(token_id)
        if name is None or token_id in special:
            spelled.append(b"")
        elif token_id in added:
            spelled.append(added[token_id].encode())
        elif "ByteLevel" in decoder:
            spelled.append(bytes(letters[letter] for letter in name if letter in letters))
        elif "Metaspace" in decoder or "▁" in decoder:
            byte = _BYTE_TOKEN.fullmatch(name)
            spelled.append(bytes([int(byte[1], 16)]) if byte else name.replace("▁", " ").encode())
        else:
            spelled.append(backend.decode([token_id]).encode())
    return tuple(spelled)


def _special_tokens(tokenizer: PreTrainedTokenizerBase, backend: Tokenizer) -> dict[str, int]:
    added = backend.get_added_tokens_decoder().items()
    special = {str(token.content): int(token_id) for token_id, token in added if token.special}
    named = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return special | {str(name): int(token_id) for name, token_id in named}


def _start_id(tokenizer: PreTrainedTokenizerBase, special: dict[str, int], size: int) -> int:
    ids = (special.get(_START), tokenizer.bos_token_id, tokenizer.eos_token_id)
    found = (token_id for token_id in ids if isinstance(token_id, int) and token_id < size)
    # A vocabulary without any of them has nothing better than its first token to begin an empty text with.
    return next(found, 0)


def _end_ids(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, special: dict[str, int]) -> set[int]:
    named: list[Any] = [tokenizer.eos_token_id, model.config.eos_token_id, special.get(_START)]
    if model.generation_config is not None:
        named.append(model.generation_config.eos_token_id)
    flat = [token_id for ids in named for token_id in (ids if isinstance(ids, list) else [ids])]
    return {token_id for token_id in flat if isinstance(token_id, int)}


def _fingerprint(backend: Tokenizer) -> str:
    parts = json.loads(backend.to_str())
    kept = {name: parts.get(name) for name in ("model", "added_tokens", "normalizer", "pre_tokenizer")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
