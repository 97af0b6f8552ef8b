"""CUDA graph network: a torch network on a GPU that captures each kind of step once and replays it.

Launching the operations of a step one by one takes the CPU many times as long as the GPU needs to compute them.
Owns capture and replay. Knows nothing of how items become steps, nor of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence

import torch

from generator.engine.networks.cuda_graph_cache import CudaGraphCache, StaticStep
from generator.engine.networks.kv_cache import KVCache
from generator.engine.networks.runner import BatchItem
from generator.engine.networks.torch_network import TorchNetwork

_WARM_UP_RUNS = 2


class CudaGraphNetwork(TorchNetwork):
    """A `Network` over `weights` on a GPU."""

    def new_slots(self, num_slots: int, window: int) -> CudaGraphCache:
        return CudaGraphCache(self._layers, num_slots, window, self.dtype, self.device, self._capture)

    def logits(self, items: AnySequence[BatchItem], slots: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        assert isinstance(slots, CudaGraphCache)
        return slots.compute(items, should_stop)

    def _capture(self, new_step: Callable[[], StaticStep]) -> Callable[[], torch.Tensor]:
        return _captured(lambda: self._compute(new_step()), self.device)

    def _compute(self, step: StaticStep) -> torch.Tensor:
        return self._head_logits(self._hidden(step)[step.wanted])


def _captured(compute: Callable[[], torch.Tensor], device: torch.device) -> Callable[[], torch.Tensor]:
    """Capture `compute` as a CUDA graph and return its replay. Every replay returns the same tensor, overwritten."""
    with torch.inference_mode(), torch.cuda.device(device):
        current, side = torch.cuda.current_stream(), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP_RUNS):
                compute()
        current.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Another thread may run another model during the capture.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = compute()

    def replay() -> torch.Tensor:
        graph.replay()
        return result

    return replay
