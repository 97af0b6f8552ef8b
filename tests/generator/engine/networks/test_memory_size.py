"""Memory size: all tensors and arrays that an object holds, and each storage once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from generator.engine.networks.memory_size import memory_size
from tests.generator.engine.tiny_models import tiny_model, tiny_runner


@dataclass(slots=True)
class WithSlots:
    numbers: object


class Holder:
    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)


def test_views_of_one_array_count_once() -> None:
    numbers = np.zeros(1000)
    held = {"a": [numbers, numbers[10:], (numbers,)], "b": "text", "c": np.zeros(10, np.int8)}
    assert memory_size(held) == 8010


def test_views_of_one_tensor_count_once() -> None:
    tensor = torch.zeros(1000)
    assert memory_size([tensor[:10], tensor.view(10, 100), tensor.t()]) == 4000
    assert memory_size([tensor, torch.zeros(1000)]) == 8000


@pytest.mark.parametrize("wrap", [WithSlots, lambda array: Holder(array=array), lambda array: {1: {2: (array,)}}])
def test_arrays_are_found_in_attributes_slots_and_containers(wrap: type[WithSlots]) -> None:
    assert memory_size(wrap(np.zeros(5, np.int16))) == 10


def test_objects_that_refer_to_each_other_are_visited_once() -> None:
    first, second = Holder(array=np.zeros(3)), Holder(array=np.zeros(4))
    vars(first)["other"], vars(second)["other"] = second, first
    assert memory_size(first) == 56


def test_the_size_of_a_runner_is_its_weights_and_its_slots() -> None:
    weights = sum(parameter.nbytes for parameter in tiny_model("gpt2").parameters())
    general, own = memory_size(tiny_runner("gpt2")), memory_size(tiny_runner("torch gpt2"))
    cache = 2 * 2 * 4 * 48 * 48 * torch.float32.itemsize  # keys and values, layers, slots, window, width
    for found in (general, own):
        # The torch network has its own copy of the head. Buffers are small.
        assert cache + weights <= found < cache + 1.5 * weights
