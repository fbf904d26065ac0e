"""No step of a loop waits for the device: shown on tensors without values, and by the operations that are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from segeval import Accumulator, Taxonomy
from segeval.scoring import waiting
from segeval.scoring.device import counting as torch_counting
from segeval.scoring.device.counting import Fetched

torch = pytest.importorskip("torch")
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

# Their results have a size, or are a number, that the host must learn from the device.
WAITING = {
    *("_local_scalar_dense", "item", "is_nonzero", "equal", "allclose", "nonzero", "nonzero_numpy", "masked_select"),
    *("bincount", "histc", "_unique", "_unique2", "unique_dim", "unique_consecutive", "repeat_interleave"),
}


class Watched(TorchDispatchMode):
    """Notes which operations wait for a device, and which tensors go there from host memory."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.waits: list[str] = []
        self.copies = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.calls += 1
        masks = (
            [i for i in args[1] if i is not None and i.dtype == torch.bool] if name in ("index", "index_put_") else ()
        )
        if name in WAITING or masks:
            self.waits.append(name)
        result = func(*args, **(kwargs or {}))
        if name in ("_to_copy", "copy_") and isinstance(result, torch.Tensor) and result.is_meta:
            self.copies += any(isinstance(a, torch.Tensor) and not a.is_meta for a in args)
        return result


def _labels(*shape: int) -> Any:
    return torch.empty(*shape, dtype=torch.int64, device="meta")


SEMANTIC: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {
    "labels": ({"classes": 4}, lambda: _labels(2, 8, 9)),
    "bytes": ({"classes": 4}, lambda: _labels(2, 8, 9).to(torch.uint8)),
    "logits": ({"classes": 4}, lambda: torch.empty(2, 4, 8, 9, device="meta")),
    "logits of names": ({"classes": Taxonomy((3, 7, 300))}, lambda: torch.empty(2, 3, 8, 9, device="meta")),
    "far names": ({"classes": Taxonomy((0, 3, 2**22))}, lambda: _labels(2, 8, 9)),
    "one channel": ({"binary": True}, lambda: torch.empty(2, 1, 8, 9, device="meta", dtype=torch.bfloat16)),
    "mapped": ({"classes": 3, "map_truth": ((7, 1),), "map_prediction": ((3, 0),)}, lambda: _labels(2, 8, 9)),
}
LISTED = [{"id": i, "category_id": 1} for i in (1, 5, 900)]
PANOPTIC: dict[str, Callable[[], Any]] = {
    "ids": lambda: _labels(2, 8, 9),
    "colours": lambda: torch.empty(2, 8, 9, 3, dtype=torch.uint8, device="meta"),
}


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Tensors without values pass for a device's; counts what is sent there by the way that doesn't wait."""
    sent: list[int] = []

    def counted(array: Any, where: Any) -> Any:
        sent.append(len(array))
        return torch.empty(array.shape, dtype=torch.from_numpy(array).dtype, device=where)

    monkeypatch.setattr(waiting, "on_device", lambda *sides: all(isinstance(s, torch.Tensor) for s in sides))
    monkeypatch.setattr(Fetched, "ready", lambda self: False)
    monkeypatch.setattr(torch_counting, "sent", counted)
    return sent


@pytest.mark.parametrize("name", SEMANTIC)
def test_semantic_steps_do_not_wait(name: str, device: list[int]) -> None:
    options, prediction = SEMANTIC[name]
    seen = Accumulator("semantic", **options)
    seen.update(prediction=prediction(), truth=_labels(2, 8, 9), keys="ab")  # makes the tables on the device
    device.clear()
    with Watched() as watched:
        seen.update(prediction=prediction(), truth=_labels(2, 8, 9), keys="cd")
    assert len(seen._waiting) == 2, "the device's way was not taken"
    assert watched.calls > 30
    assert watched.waits == []
    assert watched.copies == 0
    assert device == []  # nothing at all is sent after the first step


@pytest.mark.parametrize("name", PANOPTIC)
def test_panoptic_steps_do_not_wait(name: str, device: list[int]) -> None:
    seen = Accumulator("panoptic", classes=Taxonomy((1, 2), things=(True, False)), void=(0, 7))
    for keys in ("ab", "cd"):
        device.clear()
        with Watched() as watched:
            side = (PANOPTIC[name](), [LISTED, LISTED[:2]])
            seen.update(prediction=side, truth=side, keys=keys)
    assert len(seen._waiting) == 2, "the device's way was not taken"
    assert watched.calls > 30
    assert watched.waits == []
    assert watched.copies == 0
    assert device == [4, 4, 3, 3]  # the ids that are listed, and no pixel


def test_what_waits_is_noticed() -> None:
    with Watched() as watched:
        values = torch.tensor([1, 0, 2])
        values.nonzero()
        values[values > 0]
        int(values.sum())
        torch.bincount(values)
        torch.unique(values)
    assert watched.waits == ["nonzero", "index", "_local_scalar_dense", "bincount", "_unique2"]
    with pytest.raises((RuntimeError, NotImplementedError)):
        int(torch.empty((), device="meta"))
    with Watched() as watched:
        torch.from_numpy(np.arange(3)).to("meta")
    assert watched.copies == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_no_synchronisation_on_cuda() -> None:
    for name, (options, prediction) in SEMANTIC.items():
        seen = Accumulator("semantic", **options)
        truth = torch.zeros(2, 8, 9, dtype=torch.int64, device="cuda")
        guess = torch.zeros_like(prediction(), device="cuda")
        seen.update(prediction=guess, truth=truth, keys=["a", name])
        torch.cuda.set_sync_debug_mode("error")
        try:
            for step in range(3):
                seen.update(prediction=guess, truth=truth, keys=[f"{step}a", f"{step}b"])
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert seen.compute().images == 8
