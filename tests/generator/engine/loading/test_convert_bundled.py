"""Conversion of the bundled model: a tiny GGUF file becomes a folder with the same weights, vocabulary and ends."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from generator.engine.loading.convert_bundled import STORED_DTYPE, convert
from tests.generator.engine.tiny_models import tiny_tokenizer, tiny_vocabulary

HEADS, KV_HEADS, WIDTH, LAYERS = 4, 2, 64, 2
LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def new_model() -> LlamaForCausalLM:
    torch.manual_seed(4)
    config = LlamaConfig(
        num_hidden_layers=LAYERS,
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        intermediate_size=96,
        vocab_size=len(tiny_tokenizer()),
        max_position_embeddings=128,
        initializer_range=0.15,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def tensor_names() -> dict[str, str]:
    """Return the name in GGUF of each tensor of the model."""
    names = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    for layer in range(LAYERS):
        for ours, theirs in LAYER_NAMES.items():
            names[f"model.layers.{layer}.{ours}.weight"] = f"blk.{layer}.{theirs}.weight"
    return names


def permuted(weight: np.ndarray[tuple[int, ...], np.dtype[np.float32]], heads: int) -> object:
    """Interleave the halves of each head, as GGUF stores queries and keys."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(model: LlamaForCausalLM, path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(96)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(model.config.vocab_size)
    backend = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    tokens = sorted(backend["model"]["vocab"], key=backend["model"]["vocab"].get)
    special = {token["content"] for token in backend["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in backend["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, tensor in model.state_dict().items():
        if name in tensor_names():
            numbers = tensor.numpy()
            if "q_proj" in name or "k_proj" in name:
                numbers = permuted(numbers, HEADS if "q_proj" in name else KV_HEADS)
            kind = gguf.GGMLQuantizationType.F32 if numbers.ndim == 1 else gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(tensor_names()[name], gguf.quants.quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, target = tmp_path_factory.mktemp("gguf") / "tiny.gguf", tmp_path_factory.mktemp("converted")
    write_gguf(new_model(), source)
    convert(source, target)
    return target


def test_the_folder_holds_the_weights_in_half_precision(converted: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(converted, local_files_only=True, dtype=torch.float32)
    expected = new_model().state_dict()
    assert set(expected) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        # A value of 8 bits is within half a 127th of the largest value of its block.
        assert (tensor - expected[name]).abs().max() <= expected[name].abs().max() / 127
    stored = AutoModelForCausalLM.from_pretrained(converted, local_files_only=True, dtype="auto")
    assert stored.dtype == STORED_DTYPE


def test_the_folder_is_not_marked_as_quantized(converted: Path) -> None:
    config = json.loads((converted / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["tie_word_embeddings"] is True


def test_chat_and_pretraining_ends_both_end_a_story(converted: Path) -> None:
    config = json.loads((converted / "generation_config.json").read_text())
    assert config["eos_token_id"] == [2, 0]


def test_the_tokenizer_splits_digits_and_keeps_the_text(converted: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(converted, local_files_only=True)
    words = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a 1984")
    assert [word for word, _ in words] == ["a", "Ġ", "1", "9", "8", "4"]
    text = "the naïve café 🌊\n\n12"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    # Not by a call of the tiny tokenizer, which all tests share: a call changes its treatment of special tokens.
    assert tokenizer("the river")["input_ids"] == tiny_vocabulary().encode("the river")[0]
