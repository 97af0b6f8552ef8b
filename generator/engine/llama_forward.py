"""The Llama family's forward as plain functions of tensors: what transformers computes, in fewer and larger steps.

Owns how its weights are laid out. Knows nothing of slots, rows or number formats.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM

from generator.engine.forward import Attend, Layer
from generator.engine.linear import Linear


def is_plain_llama(model: LlamaForCausalLM) -> bool:
    config: Any = model.config
    return (
        config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and config.rope_parameters["rope_type"] in ("default", "linear", "llama3")
    )


class LlamaForward:
    """A `Forward` of a model that `is_plain_llama`, for positions below `window`."""

    def __init__(self, model: LlamaForCausalLM, window: int) -> None:
        config: Any = model.config
        self.num_heads = config.num_attention_heads
        self.num_kv_heads: int = config.num_key_value_heads
        self.head_dim = model.model.layers[0].self_attn.head_dim
        self._eps = config.rms_norm_eps
        self._embedding: torch.Tensor = model.model.embed_tokens.weight.detach().float()
        self._rotations = _rotations(model.model.rotary_emb, window)
        self.layers = [self._read_layer(layer) for layer in model.model.layers]
        self.head = Linear(model.lm_head.weight * model.model.norm.weight)
        self.stream: torch.Tensor | None = None

    def hidden(self, token_ids: torch.Tensor, positions: torch.Tensor, attend: Attend) -> torch.Tensor:
        x = self._embedding[token_ids]
        if self.stream is not None:
            x = x @ self.stream
        rotation = self._rotations[positions, None]
        turned = (len(x), self.num_heads + self.num_kv_heads, self.head_dim // 2, 2)
        for number, layer in enumerate(self.layers):
            qkv = layer.qkv(self._norm(x)).view(len(x), -1, self.head_dim)
            torch.view_as_complex(qkv[:, : turned[1]].view(turned)).mul_(rotation)
            x = layer.output(attend(number, qkv)).add_(x)
            gate, up = layer.up(self._norm(x)).chunk(2, -1)
            x = layer.down(F.silu(gate).mul_(up)).add_(x)
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self._norm(hidden))
        return logits

    def _norm(self, rows: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = F.rms_norm(rows, rows.shape[1:], eps=self._eps)
        return normed

    def _read_layer(self, layer: Any) -> Layer:
        attention, mlp = layer.self_attn, layer.mlp
        query, key = (self._paired(projection.weight) for projection in (attention.q_proj, attention.k_proj))
        qkv = torch.cat((query, key, attention.v_proj.weight))
        up = torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight))
        return Layer(
            qkv=Linear(qkv * layer.input_layernorm.weight),
            output=Linear(attention.o_proj.weight),
            up=Linear(up * layer.post_attention_layernorm.weight),
            down=Linear(mlp.down_proj.weight),
        )

    def _paired(self, weight: torch.Tensor) -> torch.Tensor:
        """The rows with the two dimensions that turn together side by side instead of half a head apart, so that
        turning is one multiplication of complex numbers. Scores don't change: queries and keys are reordered alike."""
        return weight.view(-1, 2, self.head_dim // 2, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def _rotations(embedding: Any, window: int) -> torch.Tensor:
    """`[window, head_dim / 2]`, complex: by how much each pair of dimensions turns at each position."""
    angles = torch.outer(torch.arange(window).float(), embedding.inv_freq.float())
    return torch.polar(torch.full_like(angles, embedding.attention_scaling), angles)
