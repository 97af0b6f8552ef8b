"""Linear layers: what multiplies rows by a weight, in several number formats.

Owns the formats and how a weight is packed for each. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F

# A function of rows `[rows, inputs]`, fp32, to `[rows, outputs]`, fp32.
Multiply = Callable[[torch.Tensor], torch.Tensor]


class Linear:
    """`weight` is `[outputs, inputs]`, fp32; `multiply` computes with it, packed or not. With `turn`, each block of
    inputs is multiplied by it first."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        # Copies: what becomes of them must not reach the model they came from.
        self.weight = weight.detach().float().clone(memory_format=torch.contiguous_format)
        self.bias = None if bias is None else bias.detach().float().clone()
        self.turn: torch.Tensor | None = None
        self.multiply = pack_fp32(self.weight, self.bias)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        if self.turn is not None:
            rows = (rows.view(-1, len(self.turn)) @ self.turn).view(rows.shape)
        return self.multiply(rows)

    def pack(self, kind: str) -> None:
        """Compute with the weight as it is now, in the format of that name."""
        self.multiply = PACKERS[kind](self.weight, self.bias)


def pack_fp32(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    return lambda rows: F.linear(rows, weight, bias)


def pack_bf16(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    weight, bias = weight.bfloat16(), None if bias is None else bias.bfloat16()
    return lambda rows: F.linear(rows.bfloat16(), weight, bias).float()


def pack_int8_weights(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    """Weights in 8 bits with a scale per output, activations in bf16: accurate; slow for many rows."""
    scales = _scales(weight)
    quantized = (weight / scales[:, None]).round().to(torch.int8)
    scales = scales.bfloat16()

    def multiply(rows: torch.Tensor) -> torch.Tensor:
        product = torch._weight_int8pack_mm(rows.bfloat16(), quantized, scales).float()
        return product if bias is None else product.add_(bias)

    return multiply


def pack_int8(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    """Weights in 8 bits with a scale per output, activations in 8 bits with a scale per row."""
    zeros = torch.zeros(len(weight), dtype=torch.long)
    quantized = torch.quantize_per_channel(weight, _scales(weight).double(), zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantized, None)
    product = torch.ops.quantized.linear_dynamic

    def multiply(rows: torch.Tensor) -> torch.Tensor:
        if len(rows) == 1:
            result: torch.Tensor = product(rows, packed)
        else:
            # The operator has one scale for all rows: what is made equally large in every row loses equally little,
            # and no row depends on its neighbours.
            peaks = rows.abs().amax(1, keepdim=True).clamp_(min=1e-20)
            result = product(rows / peaks, packed).mul_(peaks)
        return result if bias is None else result.add_(bias)

    return multiply


PACKERS: Mapping[str, Callable[[torch.Tensor, torch.Tensor | None], Multiply]] = {
    "fp32": pack_fp32,
    "bf16": pack_bf16,
    "int8 weights": pack_int8_weights,
    "int8": pack_int8,
}


def _scales(weight: torch.Tensor) -> torch.Tensor:
    return weight.abs().amax(1).clamp_(min=1e-12) / 127
