"""Graph network: a family's forward on a GPU, where steps are captured once and replayed.

Launching the operations of a step one by one takes the CPU many times what the GPU needs for them. Knows nothing of
what a step computes for whom, of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence

import torch

from generator.engine.networks.cuda_graph_cache import CudaGraphCache, StaticStep
from generator.engine.networks.kv_cache import KVCache
from generator.engine.networks.runner import BatchItem
from generator.engine.networks.torch_network import TorchNetwork

_WARM_UPS = 2
_FORMATS = {torch.float32: "fp32", torch.bfloat16: "bf16"}


class CudaGraphNetwork(TorchNetwork):
    """A `Network` over `model`, whose weights are on a GPU."""

    @property
    def formats(self) -> tuple[str, ...]:
        return (_FORMATS[self.dtype],)

    def use(self, name: str) -> None:
        assert name in self.formats

    def new_slots(self, num_slots: int, window: int) -> CudaGraphCache:
        return CudaGraphCache(self._shapes, num_slots, window, self.dtype, self.device, self._prepare)

    def logits(self, rows: AnySequence[BatchItem], slots: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        assert isinstance(slots, CudaGraphCache)
        return slots.compute(rows, should_stop)

    def _prepare(self, begin: Callable[[], StaticStep]) -> Callable[[], torch.Tensor]:
        return _captured(lambda: self._compute(begin()), self.device)

    def _compute(self, step: StaticStep) -> torch.Tensor:
        return self._logits_of(self._hidden(step)[step.wanted])


def _captured(compute: Callable[[], torch.Tensor], device: torch.device) -> Callable[[], torch.Tensor]:
    """`compute` as a graph to replay. Its result is always in the same place."""
    with torch.inference_mode(), torch.cuda.device(device):
        here, beside = torch.cuda.current_stream(), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UPS):
                compute()
        here.wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        # Another thread may be writing with another model meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = compute()

    def replay() -> torch.Tensor:
        graph.replay()
        return result

    return replay
