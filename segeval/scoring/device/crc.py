"""CRC-32 on a device, by halves.

The checksum without its initial and final inversion is linear: crc(a b) = shift(crc(a), bytes of b) xor crc(b). So all
bytes are looked up at once, and neighbours are joined pairwise until one value is left. Leading zeros change nothing,
so an odd row gets one in front.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_POLYNOMIAL = 0xEDB88320
_ALL = 0xFFFFFFFF


@functools.cache
def _byte_table() -> NDArray[np.uint32]:
    """The checksum of each single byte."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@functools.cache
def _shift_tables(level: int) -> NDArray[np.uint32]:
    """(4, 256): what each byte of a checksum becomes when 2^level zero bytes follow."""
    if level == 0:
        values = (np.arange(256, dtype=np.uint32)[None, :] << (8 * np.arange(4, dtype=np.uint32))[:, None]).astype(
            np.uint32
        )
        table: NDArray[np.uint32] = (values >> np.uint32(8)) ^ _byte_table()[values & 255]
        return table
    half = _shift_tables(level - 1)
    return _shifted(half, half)


def _shifted(values: NDArray[np.uint32], tables: NDArray[np.uint32]) -> NDArray[np.uint32]:
    first, second, third, fourth = (tables[k][(values >> np.uint32(8 * k)) & 255] for k in range(4))
    joined: NDArray[np.uint32] = first ^ second ^ third ^ fourth
    return joined


@functools.lru_cache(maxsize=256)
def _inversion(length: int) -> int:
    """What the initial and the final inversion contribute for so many bytes."""
    value = np.array([_ALL], np.uint32)
    level = 0
    while length >> level:
        if length >> level & 1:
            value = _shifted(value, _shift_tables(level))
        level += 1
    return int(value[0]) ^ _ALL


@functools.lru_cache(maxsize=256)
def _on(device: Any, level: int) -> Tensor:
    """Tables on a device, as int32: the bytes' own for level -1."""
    table = _byte_table() if level < 0 else _shift_tables(level)
    return torch.from_numpy(table.view(np.int32).copy()).to(device)


def crc_of_rows(data: Tensor) -> Tensor:
    """The CRC-32 of each row.

    Parameters
    ----------
    data
        uint8 (N, bytes) on any device.

    Returns
    -------
    crc
        int64 (N), on the same device; nothing waits for it.
    """
    length = data.shape[1]
    values = _on(data.device, -1)[data.int()]
    level = 0
    while values.shape[1] > 1:
        if values.shape[1] % 2:
            values = torch.cat([values.new_zeros(len(values), 1), values], dim=1)
        left, right = values.view(len(values), -1, 2).unbind(-1)
        tables = _on(data.device, level)
        for k in range(4):
            right = right ^ tables[k][(left >> 8 * k) & 255]
        values, level = right, level + 1
    if not length:
        return torch.zeros(len(data), dtype=torch.int64, device=data.device)
    return (values[:, 0].long() & _ALL) ^ _inversion(length)
