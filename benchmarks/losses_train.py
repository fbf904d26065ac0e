"""Train a small U-Net on CamVid at quarter size with one loss after another: a loss that does not train is a bug.

python benchmarks/losses_train.py [--data DIR] [--seconds 90] [--losses cross_entropy dice ...]

Each run gets the same seed, network, batches and CPU seconds on one thread; the table goes to stdout as Markdown.
Scores are those of the test split at the original 480 x 360 labels, the network's logits enlarged.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from segeval import Accumulator
from segeval.losses import LOSSES

CLASSES, VOID = 11, 11
SIZE = (90, 120)
DATA = Path(os.environ.get("SEGEVAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
CHOSEN = ["cross_entropy", "dice", "lovasz_softmax", "region_mutual_information", "boundary_dou", "unified_focal"]


class Block(nn.Sequential):
    """Two 3 x 3 convolutions with batch normalisation."""

    def __init__(self, entering: int, leaving: int) -> None:
        layers: list[nn.Module] = []
        for channels in (entering, leaving):
            layers += [nn.Conv2d(channels, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()]
        super().__init__(*layers)


class SmallUNet(nn.Module):
    """A U-Net of four levels that takes any size."""

    def __init__(self, classes: int, base: int = 16) -> None:
        super().__init__()
        widths = [base * 2**level for level in range(4)]
        self.down = nn.ModuleList(Block(a, b) for a, b in zip([3, *widths[:-1]], widths, strict=True))
        pairs = list(zip(widths[::-1], widths[-2::-1], strict=False))
        self.up = nn.ModuleList(Block(a + b, b) for a, b in pairs)
        self.head = nn.Conv2d(base, classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes, H, W)."""
        x, skips = images, []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip], 1))
        logits: Tensor = self.head(x)
        return logits


def load(split: str, root: Path) -> tuple[Tensor, Tensor, list[NDArray[np.uint8]]]:
    """Images (K, 3, 90, 120) in [0, 1], labels at that size, and the labels as they are."""
    images, small, full = [], [], []
    for stem in (root / f"{split}.txt").read_text().split():
        with Image.open(root / split / f"{stem}.webp") as picture:
            shrunk = picture.convert("RGB").resize(SIZE[::-1], Image.Resampling.BOX)
        with Image.open(root / f"{split}annot" / f"{stem}.png") as labels:
            full.append(np.array(labels, dtype=np.uint8))
            small.append(np.array(labels.resize(SIZE[::-1], Image.Resampling.NEAREST), dtype=np.int64))
        images.append(np.array(shrunk, dtype=np.float32) / 255)
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.from_numpy(np.stack(small)), full


def train(name: str, images: Tensor, labels: Tensor, seconds: float, seed: int) -> tuple[SmallUNet, int]:
    """Train for so many CPU seconds; the learning rate falls to 0 over them."""
    torch.manual_seed(seed)
    net = SmallUNet(CLASSES)
    loss = LOSSES[name].cls(ignore_index=VOID)
    parameters = [*net.parameters(), *loss.parameters()]
    optimiser = torch.optim.AdamW(parameters, 3e-3, weight_decay=1e-3)
    generator = torch.Generator().manual_seed(seed)
    start, step = time.process_time(), 0
    while (spent := time.process_time() - start) < seconds:
        rate = 3e-3 * min(1.0, (step + 1) / 50) * (1 - spent / seconds) ** 0.9
        for group in optimiser.param_groups:
            group["lr"] = rate
        chosen = torch.randint(len(images), (8,), generator=generator)
        flip = torch.rand((), generator=generator) < 0.5
        x, y = images[chosen], labels[chosen]
        if flip:
            x, y = x.flip(-1), y.flip(-1)
        value = loss(net((x - 0.45) / 0.25), y)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        step += 1
    return net, step


@dataclass(frozen=True)
class Score:
    """Figures of one confusion matrix over the test split."""

    miou: float
    class_accuracy: float
    accuracy: float


def evaluate(net: SmallUNet, images: Tensor, full: list[NDArray[np.uint8]]) -> Score:
    """Score the enlarged logits against the labels as they are."""
    seen = Accumulator("semantic", classes=CLASSES, void=(VOID,))
    net.eval()
    with torch.no_grad():
        for key, (image, truth) in enumerate(zip(images, full, strict=True)):
            small = net((image[None] - 0.45) / 0.25)
            logits = F.interpolate(small, size=truth.shape, mode="bilinear", align_corners=False)
            seen.update(prediction=logits[0].argmax(0), truth=truth, key=key)
    result = seen.compute()
    return Score(result["mIoU"], result["mAcc"], result["aAcc"])


def main() -> int:
    """Train, score and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA / "camvid")
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--losses", nargs="+", default=CHOSEN, choices=[n for n, i in LOSSES.items() if not i.needs])
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.stderr.write(f"{arguments.data} is not there; set SEGEVAL_DATA or give --data\n")
        return 2
    torch.set_num_threads(1)
    images, labels, _ = load("train", arguments.data)
    test_images, _, full = load("test", arguments.data)
    counts = np.bincount(np.concatenate([one.ravel() for one in full]), minlength=VOID + 1)[:CLASSES]
    print("| loss | steps | mIoU | class accuracy | pixel accuracy |\n|---|---|---|---|---|")
    floor = counts.max() / counts.sum()
    figures = f"{floor / CLASSES:.3f} | {1 / CLASSES:.3f} | {floor:.3f}"
    print(f"| floor: the commonest class everywhere | 0 | {figures} |", flush=True)
    for name in arguments.losses:
        net, steps = train(name, images, labels, arguments.seconds, arguments.seed)
        score = evaluate(net, test_images, full)
        figures = f"{score.miou:.3f} | {score.class_accuracy:.3f} | {score.accuracy:.3f}"
        print(f"| `{name}` | {steps} | {figures} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
