"""A training loop that knows its score: mIoU with an interval after every epoch, on one process or many.

    python docs/training_loop.py
    torchrun --nproc-per-node 2 docs/training_loop.py

The data are coloured rectangles on a noisy ground, so it runs anywhere, in seconds. What matters is `validate`: the
batch goes into the accumulator as it is, on the device where it is, under the images' own keys.
"""

from __future__ import annotations

import argparse
import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from segeval import Accumulator, Interval, Result, with_intervals
from segeval.losses import CrossEntropyLoss

NAMES = ["ground", "red", "green", "blue"]


class Rectangles(Dataset[tuple[Tensor, Tensor, str]]):
    """Images (3, 48, 64), label maps (48, 64) and the images' names; the border of each rectangle is void (255)."""

    def __init__(self, split: str, count: int) -> None:
        self.split, self.count = split, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, str]:
        random = torch.Generator().manual_seed(2 * i + (self.split == "val"))
        image, labels = torch.rand(3, 48, 64, generator=random), torch.zeros(48, 64, dtype=torch.int64)
        for _ in range(3):
            kind, y, x = (
                int(torch.randint(low, high, (), generator=random)) for low, high in ((1, 4), (0, 36), (0, 48))
            )
            labels[y : y + 14, x : x + 18] = 255
            labels[y + 1 : y + 13, x + 1 : x + 17] = kind
            image[kind - 1, y : y + 14, x : x + 18] += 1
        return image, labels, f"{self.split}/{i:04d}"


def validate(model: nn.Module, loader: DataLoader[tuple[Tensor, Tensor, str]], device: str) -> Result:
    """Score the model on all ranks together."""
    seen = Accumulator("semantic", classes=NAMES)
    model.eval()
    with torch.inference_mode():
        for images, labels, keys in loader:
            seen.update(prediction=model(images.to(device)), truth=labels.to(device), keys=keys)
    # Every rank now holds the same evidence; images that the padded sampler gave twice count once.
    return with_intervals(seen.gather().compute(), Interval(resamples=200))


def train(epochs: int, images: int, device: str) -> list[Result]:
    """Train a small network; the result of each epoch."""
    ranks = dist.is_initialized()
    torch.manual_seed(0)
    model: nn.Module = nn.Sequential(
        nn.Conv2d(3, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 4, 1)
    ).to(device)
    if ranks:
        model = nn.parallel.DistributedDataParallel(model)
    loaders = {}
    for split in ("train", "val"):
        data = Rectangles(split, images)
        sampler = DistributedSampler(data, shuffle=split == "train") if ranks else None
        loaders[split] = DataLoader(data, batch_size=4, sampler=sampler, shuffle=split == "train" and not ranks)
    loss_of = CrossEntropyLoss(ignore_index=255)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    results = []
    for epoch in range(1, epochs + 1):
        model.train()
        for batch, labels, _ in loaders["train"]:
            optimiser.zero_grad()
            loss = loss_of(model(batch.to(device)), labels.to(device))
            loss.backward()
            optimiser.step()
        result = validate(model, loaders["val"], device)
        results.append(result)
        low, high = result.intervals["mIoU"]
        if not ranks or dist.get_rank() == 0:
            score = f"mIoU {100 * result['mIoU']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
            print(f"epoch {epoch}  loss {loss.item():.3f}  {score}")
    return results


def main() -> None:
    """Parse, join the ranks if there are any, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=60, help="in each split")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    if "RANK" in os.environ:
        dist.init_process_group("nccl" if args.device == "cuda" else "gloo")
    results = train(args.epochs, args.images, args.device)
    if not dist.is_initialized() or dist.get_rank() == 0:
        print(results[-1].signature)
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
