"""Pretrained vocabulary: the conversion of a transformers tokenizer into the engine's `Vocabulary`.

Owns the bytes of each token's spelling, and the choice of start and end tokens. Knows nothing of windows or sampling.
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

_END_OF_TEXT = "<|endoftext|>"
_BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")


def read_vocabulary(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> Vocabulary:
    """Return the vocabulary of `tokenizer`. Raise LoadFailed if the tokenizer does not fit the model."""
    backend: Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise LoadFailed("The kind of the model's tokenizer is not supported.")
    # Text that spells a special token is encoded as ordinary tokens.
    backend.encode_special_tokens = True
    backend.no_truncation()
    backend.no_padding()
    size = int(model.get_output_embeddings().weight.shape[0])
    special = _special_tokens(tokenizer, backend)
    names = {token_id: name for name, token_id in backend.get_vocab(with_added_tokens=True).items()}
    if any(token_id >= size and token_id not in special.values() for token_id in names):
        raise LoadFailed("The model's tokenizer has more tokens than the model.")
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
    """Return the byte that each letter stands for in byte-level BPE.

    A printable byte is spelled as the character of the same number. The others are spelled as U+0100 and following.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    letters = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return letters | {chr(0x100 + number): byte for number, byte in enumerate(others)}


def _encode(backend: Tokenizer, text: str) -> tuple[list[int], list[int]]:
    encoding = backend.encode(text, add_special_tokens=False)
    return encoding.ids, [end for _, end in encoding.offsets]


def _spellings(backend: Tokenizer, names: dict[int, str], special: frozenset[int], size: int) -> tuple[bytes, ...]:
    """Return the bytes of each token's text: empty for special tokens and for ids without a token."""
    decoder = str(json.loads(backend.to_str()).get("decoder"))
    added = {token_id: str(token.content) for token_id, token in backend.get_added_tokens_decoder().items()}
    letters = byte_of_letter()
    spellings: list[bytes] = []
    for token_id in range(size):
        name = names.get(token_id)
        if name is None or token_id in special:
            spellings.append(b"")
        elif token_id in added:
            spellings.append(added[token_id].encode())
        elif "ByteLevel" in decoder:
            spellings.append(bytes(letters[letter] for letter in name if letter in letters))
        elif "Metaspace" in decoder or "▁" in decoder:
            byte = _BYTE_TOKEN.fullmatch(name)
            spellings.append(bytes([int(byte[1], 16)]) if byte else name.replace("▁", " ").encode())
        else:
            spellings.append(backend.decode([token_id]).encode())
    return tuple(spellings)


def _special_tokens(tokenizer: PreTrainedTokenizerBase, backend: Tokenizer) -> dict[str, int]:
    added = backend.get_added_tokens_decoder().items()
    special = {str(token.content): int(token_id) for token_id, token in added if token.special}
    named = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    return special | {str(name): int(token_id) for name, token_id in named}


def _start_id(tokenizer: PreTrainedTokenizerBase, special: dict[str, int], size: int) -> int:
    ids = (special.get(_END_OF_TEXT), tokenizer.bos_token_id, tokenizer.eos_token_id)
    found = (token_id for token_id in ids if isinstance(token_id, int) and token_id < size)
    # Without any of these tokens the first token of the vocabulary begins an empty text.
    return next(found, 0)


def _end_ids(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, special: dict[str, int]) -> set[int]:
    named: list[Any] = [tokenizer.eos_token_id, model.config.eos_token_id, special.get(_END_OF_TEXT)]
    if model.generation_config is not None:
        named.append(model.generation_config.eos_token_id)
    flat = [token_id for ids in named for token_id in (ids if isinstance(ids, list) else [ids])]
    return {token_id for token_id in flat if isinstance(token_id, int)}


def _fingerprint(backend: Tokenizer) -> str:
    """Return a digest of the parts of the tokenizer that decide which ids a text becomes."""
    parts = json.loads(backend.to_str())
    kept = {name: parts.get(name) for name in ("model", "added_tokens", "normalizer", "pre_tokenizer")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]
