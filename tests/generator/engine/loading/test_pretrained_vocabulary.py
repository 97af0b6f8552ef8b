"""Pretrained vocabulary: the tokens of a text spell it, and special tokens never come from text."""

from __future__ import annotations

import copy
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from generator.engine.loading.pretrained_vocabulary import byte_of_letter, read_vocabulary
from generator.engine.networks.runner import LoadFailed
from generator.engine.tokens.vocabulary import Vocabulary
from tests.generator.engine.tiny_models import SPECIAL, copy_of, tiny_model, tiny_tokenizer, tiny_vocabulary

PARTS = ["the river", " ", "\n\n", "'", "’", "é", "字", "🌊", *SPECIAL]
TEXT = st.lists(st.sampled_from(PARTS), max_size=8).map("".join) | st.text(max_size=20)


def with_tokenizer(tokenizer: PreTrainedTokenizerFast, model: PreTrainedModel | None = None) -> Vocabulary:
    return read_vocabulary(tokenizer, model or copy_of(tiny_model("gpt2")))


def copied_tokenizer() -> PreTrainedTokenizerFast:
    return copy.deepcopy(tiny_tokenizer())


def sentencepiece_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer in the style of Llama 2: a visible character for spaces, and bytes as `<0x…>`."""
    tokens = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "t",
        "h",
        "e",
        "▁t",
        "he",
        "▁the",
    ]
    ids = {token: token_id for token_id, token in enumerate(tokens)}
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he")]
    backend = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


@given(TEXT)
def test_the_tokens_of_a_text_spell_it_and_end_where_they_say(text: str) -> None:
    vocabulary = tiny_vocabulary()
    ids, ends = vocabulary.encode(text)
    written = [vocabulary.token_bytes[token_id] for token_id in ids]
    assert b"".join(written) == text.encode()
    assert not set(ids) & set(vocabulary.special.values())
    # A token that ends inside a character counts up to the end of that character.
    for so_far, end in zip(accumulate(written), ends, strict=True):
        assert len(so_far.decode(errors="ignore")) <= end <= len(so_far.decode(errors="ignore")) + 1


@given(st.text(st.sampled_from("the 字🌊é"), max_size=20))
def test_sentencepiece_tokens_spell_their_text(text: str) -> None:
    vocabulary = with_tokenizer(sentencepiece_tokenizer())
    ids, _ = vocabulary.encode(text)
    assert b"".join(vocabulary.token_bytes[token_id] for token_id in ids) == text.encode()


def test_letters_of_byte_level_tokens_are_those_of_the_tokenizers_library() -> None:
    letters = byte_of_letter()
    assert set(letters) == set(pre_tokenizers.ByteLevel.alphabet())
    for text in ("\n", " ", "é", "字", "\x00", "~"):
        ((spelling, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
        assert bytes(letters[letter] for letter in spelling) == text.encode()


def test_special_tokens_have_ids_and_write_nothing() -> None:
    vocabulary = tiny_vocabulary()
    assert set(SPECIAL[:1]) <= set(vocabulary.special)
    assert all(vocabulary.token_bytes[token_id] == b"" for token_id in vocabulary.special.values())
    assert vocabulary.start_id == vocabulary.special["<|endoftext|>"]
    assert vocabulary.end_ids == {vocabulary.special["<|endoftext|>"]}
    assert vocabulary.size == len(tiny_tokenizer()) == len(vocabulary.token_bytes)


def test_added_tokens_that_are_not_special_write_their_text() -> None:
    tokenizer = copied_tokenizer()
    tokenizer.backend_tokenizer.add_tokens([AddedToken(" lighthouse", normalized=False)])
    model = copy_of(tiny_model("gpt2"))
    model.resize_token_embeddings(len(tokenizer) + 7)
    vocabulary = with_tokenizer(tokenizer, model)
    token_id = tokenizer.backend_tokenizer.token_to_id(" lighthouse")
    assert token_id is not None
    assert vocabulary.token_bytes[token_id] == b" lighthouse"
    # The model's logits are wider than the vocabulary.
    assert vocabulary.token_bytes[token_id + 1 :] == (b"",) * 7
    assert vocabulary.size == len(vocabulary.token_bytes)


def test_all_end_tokens_of_the_model_end_a_story() -> None:
    model = copy_of(tiny_model("gpt2"))
    model.config.eos_token_id = 7
    assert model.generation_config is not None
    model.generation_config.eos_token_id = [8, 9, 5000]
    assert with_tokenizer(copied_tokenizer(), model).end_ids == {0, 7, 8, 9}


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused() -> None:
    tokenizer = copied_tokenizer()
    tokenizer.backend_tokenizer.add_tokens(["beyond"])
    with pytest.raises(LoadFailed, match="more tokens"):
        with_tokenizer(tokenizer)


def test_special_tokens_beyond_the_model_are_left_out() -> None:
    tokenizer = copied_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<|pad|>"})
    assert "<|pad|>" not in with_tokenizer(tokenizer).special


def test_a_tokenizer_without_a_backend_is_refused() -> None:
    with pytest.raises(LoadFailed, match="not supported"):
        read_vocabulary(object(), copy_of(tiny_model("gpt2")))  # type: ignore[arg-type]


def test_the_fingerprint_is_equal_for_equal_tokenizers_only() -> None:
    tokenizer = copied_tokenizer()
    assert with_tokenizer(tokenizer).fingerprint == tiny_vocabulary().fingerprint
    model = copy_of(tiny_model("gpt2"))
    model.resize_token_embeddings(len(tokenizer) + 1)
    tokenizer.backend_tokenizer.add_tokens(["more"])
    assert with_tokenizer(tokenizer, model).fingerprint != tiny_vocabulary().fingerprint
