"""Memory size: the bytes of all tensors and arrays that an object holds, directly or through other objects.

Knows nothing of models or libraries: any object with an integer `nbytes` counts as a tensor.
"""

from __future__ import annotations

from typing import Any

_WITHOUT_TENSORS = (str, bytes, int, float, bool, type(None), type)


def memory_size(root: object) -> int:
    """Return the bytes of all tensors and arrays that are reachable from `root`. Views of one storage count once."""
    sizes: dict[int, int] = {}
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _WITHOUT_TENSORS) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(getattr(value, "nbytes", None), int):
            storage = _storage_id(value)
            sizes[storage] = max(sizes.get(storage, 0), value.nbytes)
        else:
            waiting.extend(_parts(value))
    return sum(sizes.values())


def _storage_id(tensor: Any) -> int:
    """Identify a tensor's storage: by its data pointer, by an array's base, or by the tensor if it exposes neither."""
    storage = getattr(tensor, "untyped_storage", None)
    try:
        if storage is not None:
            return int(storage().data_ptr())
        base = tensor if tensor.base is None else tensor.base
        return id(base)
    except (RuntimeError, NotImplementedError, AttributeError):
        return id(tensor)


def _parts(value: Any) -> list[Any]:
    """Return the elements of a container or the attributes of an object."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    slots = [getattr(value, name, None) for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*vars(value).values(), *slots] if hasattr(value, "__dict__") else slots
