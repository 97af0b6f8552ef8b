"""Footprint: how much memory the numbers take that something holds, whatever objects it keeps them in.

Knows nothing of models or libraries: a tensor is what says its `nbytes`.
"""

from __future__ import annotations

from typing import Any

_PLAIN = (str, bytes, int, float, bool, type(None), type)


def footprint(held: object) -> int:
    """The bytes of all tensors and arrays that can be reached from `held`; views of the same memory count once."""
    sizes: dict[int, int] = {}
    seen: set[int] = set()
    waiting: list[Any] = [held]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _PLAIN) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(getattr(value, "nbytes", None), int):
            place = _place(value)
            sizes[place] = max(sizes.get(place, 0), value.nbytes)
        else:
            waiting.extend(_parts(value))
    return sum(sizes.values())


def _place(tensor: Any) -> int:
    """What tells two tensors in one memory: where it begins, or the tensor itself where nobody may know."""
    storage = getattr(tensor, "untyped_storage", None)
    try:
        if storage is not None:
            return int(storage().data_ptr())
        base = tensor if tensor.base is None else tensor.base
        return id(base)
    except (RuntimeError, NotImplementedError, AttributeError):
        return id(tensor)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    slots = [getattr(value, name, None) for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*vars(value).values(), *slots] if hasattr(value, "__dict__") else slots
