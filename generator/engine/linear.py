"""Linear layers: what multiplies rows by a weight, in several number formats.

Owns the formats and how a weight is packed for each. Knows nothing of models.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F

# A function of rows `[rows, inputs]`, fp32, to `[rows, outputs]`, fp32.
Multiply = Callable[[torch.Tensor], torch.Tensor]
Packer = Callable[[torch.Tensor, torch.Tensor | None], Multiply]

# Up to so many rows, reading the weights is what takes time; beyond, multiplying is.
FEW_ROWS = 4

_LARGEST, _ZERO = 127, 128
_PRODUCT = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
# A remainder of rounding lies within half a step; so much larger it fills eight bits.
_REMAINDER = 254


class Linear:
    """`weight` is `[outputs, inputs]`, fp32; `few` and `many` compute with it, packed or not, by the number of rows.
    With `turn`, each block of inputs is multiplied by it first."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        # Copies: what becomes of them must not reach the model they came from.
        self.weight = weight.detach().float().clone(memory_format=torch.contiguous_format)
        self.bias = None if bias is None else bias.detach().float().clone()
        self.turn: torch.Tensor | None = None
        self.few = self.many = pack_fp32(self.weight, self.bias)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        if self.turn is not None:
            rows = (rows.view(-1, len(self.turn)) @ self.turn).view(rows.shape)
        return self.few(rows) if len(rows) <= FEW_ROWS else self.many(rows)

    def pack(self, few: Packer, many: Packer) -> None:
        """Compute with the weight as it is now, in the packers' formats."""
        self.few = few(self.weight, self.bias)
        self.many = self.few if many is few else many(self.weight, self.bias)

    def forget(self) -> None:
        """Give the weight's memory back; what is packed goes on computing."""
        self.weight, self.bias = torch.empty(0), None


def pack_fp32(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    return lambda rows: F.linear(rows, weight, bias)


def pack_bf16(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    weight, bias = weight.bfloat16(), None if bias is None else bias.bfloat16()
    return lambda rows: F.linear(rows.bfloat16(), weight, bias).float()


def pack_int8(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    """Weights in 8 bits with a scale per output, rows in 8 bits with a scale per row. The fastest."""
    packed = _packed(weight)
    dynamic = torch.ops.quantized.linear_dynamic

    def multiply(rows: torch.Tensor) -> torch.Tensor:
        if len(rows) == 1:
            product: torch.Tensor = dynamic(rows, packed)
        else:
            # The operator has one scale for all rows. Rows that are made equally large lose equally little, and
            # none depends on its neighbours.
            peaks = _peaks(rows)
            product = _PRODUCT(rows / peaks, 1.0, _ZERO, packed).mul_(peaks)
        return product if bias is None else product.add_(bias)

    return multiply


def pack_int8_fine_rows(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    """As `pack_int8`, with what rounding the rows leaves in another 8 bits."""
    packed = _packed(weight)

    def multiply(rows: torch.Tensor) -> torch.Tensor:
        product = _product_of_fine_rows(rows, packed)
        return product if bias is None else product.add_(bias)

    return multiply


def pack_int8_fine(weight: torch.Tensor, bias: torch.Tensor | None) -> Multiply:
    """As `pack_int8_fine_rows`, with the same for the weights: twice the memory, almost exact."""
    packed = _packed(weight, fine=True)
    num_outputs = len(weight)

    def multiply(rows: torch.Tensor) -> torch.Tensor:
        both = _product_of_fine_rows(rows, packed)
        product = both[:, :num_outputs] + both[:, num_outputs:]
        return product if bias is None else product.add_(bias)

    return multiply


def _packed(weight: torch.Tensor, fine: bool = False) -> torch.ScriptObject:
    """The weight in 8 bits; if `fine`, followed by as many outputs for what rounding left."""
    scales = weight.abs().amax(1).clamp_(min=1e-12) / _LARGEST
    steps = weight / scales[:, None]
    parts, part_scales = [steps.round()], [scales]
    if fine:
        parts.append(((steps - parts[0]) * _REMAINDER).round())
        part_scales.append(scales / _REMAINDER)
    all_scales = torch.cat(part_scales).double()
    zeros = torch.zeros(len(all_scales), dtype=torch.long)
    with warnings.catch_warnings():
        # Announced to go in some later version of torch; what replaces it is not on every platform yet.
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        quantized = torch._make_per_channel_quantized_tensor(torch.cat(parts).to(torch.int8), all_scales, zeros, 0)
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(quantized, None)
    return packed


def _product_of_fine_rows(rows: torch.Tensor, packed: torch.ScriptObject) -> torch.Tensor:
    count, peaks = len(rows), _peaks(rows)
    steps = rows.new_empty(2 * count, rows.shape[1])
    torch.div(rows, peaks, out=steps[:count])
    torch.sub(steps[:count], steps[:count].round(), out=steps[count:]).mul_(_REMAINDER)
    both: torch.Tensor = _PRODUCT(steps, 1.0, _ZERO, packed)
    return both[:count].add_(both[count:], alpha=1 / _REMAINDER).mul_(peaks)


def _peaks(rows: torch.Tensor) -> torch.Tensor:
    """What a step of each row's 8 bits stands for."""
    return rows.abs().amax(1, keepdim=True).clamp_(min=1e-20).div_(_LARGEST)
