"""``python -m benchmarks``: all rows in one run, written to RESULTS.md."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import pixel_inputs
from benchmarks.measure import ROOT, Samples, race
from benchmarks.results import Goal, Row, write_results

DATA = Path(os.environ.get("SEGEVAL_DATA", ROOT.parent / "shared" / "data"))


def semantic_rows(work: Path, rounds: int, quick: bool) -> list[Row]:
    """Folders of label PNGs, synthetic and real, and arrays in memory."""
    names = ["segeval", "segeval, 2 threads", "hotcoco", "vernier", "OpenCV + np.bincount", "mmsegmentation's rule"]
    slow = ["mmsegmentation's rule"]
    images = 12 if quick else 40
    street = pixel_inputs.write_semantic(work / f"street{images}", images, 1024, 2048, seed=1)
    goals = (
        Goal("vernier", 2.5),
        Goal("hotcoco", 4),
        Goal("OpenCV + np.bincount", 8),
        Goal("mmsegmentation's rule", 40),
    )
    rows = [
        Row(
            "semantic",
            f"{images} PNG pairs 2048x1024, 19 classes",
            images,
            race("semantic", names, street, rounds, slow),
            goals,
        )
    ]
    real = [n for n in names if n != "mmsegmentation's rule"]
    if (DATA / "camvid").is_dir():
        splits = ["test"] if quick else ["train", "val", "test"]
        folder = pixel_inputs.warp_folders([DATA / "camvid" / f"{s}annot" for s in splits], work / "camvid", 2, 11, 11)
        count = len(list((folder / "truth").glob("*.png")))
        rows.append(
            Row(
                "semantic",
                f"CamVid, {count} pairs 480x360",
                count,
                race("semantic", real, folder, rounds),
                (Goal("hotcoco", 1.6),),
            )
        )
    if (DATA / "coco_panoptic").is_dir():
        splits = ["val"] if quick else ["train", "val"]
        folder = pixel_inputs.warp_folders(
            [DATA / "coco_panoptic" / "semantic" / s for s in splits], work / "coco", 3, 201, 0
        )
        count = len(list((folder / "truth").glob("*.png")))
        rows.append(
            Row(
                "semantic",
                f"COCO, {count} pairs about 640x480",
                count,
                race("semantic", real, folder, rounds),
                (Goal("hotcoco", 2.4),),
            )
        )
    arrays = race("semantic-arrays", ["segeval", "hotcoco", "torchmetrics"], street, rounds, ["torchmetrics"])
    rows.append(
        Row(
            "semantic, arrays in memory",
            f"{images} pairs 2048x1024",
            images,
            arrays,
            (Goal("hotcoco", 4), Goal("torchmetrics", 60)),
        )
    )
    return rows


def panoptic_rows(work: Path, rounds: int, quick: bool) -> list[Row]:
    """COCO panoptic JSON and PNGs, synthetic and real."""
    names = ["segeval", "segeval, 2 threads", "hotcoco", "panopticapi"]
    images = 60 if quick else 500
    folder = pixel_inputs.write_panoptic(work / f"panoptic{images}", images, 480, 640, seed=4)
    goals = (Goal("hotcoco", 2.5), Goal("panopticapi", 12))
    rows = [
        Row(
            "panoptic",
            f"{images} synthetic pairs 640x480",
            images,
            race("panoptic", names, folder, rounds, ["panopticapi"]),
            goals,
        )
    ]
    if (DATA / "coco_panoptic").is_dir():
        root = DATA / "coco_panoptic"
        splits = ["val"] if quick else ["train", "val"]
        sources = [(root / "annotations" / f"panoptic_{s}.json", root / "panoptic" / s) for s in splits]
        folder = pixel_inputs.warp_panoptic(sources, work / "coco_panoptic", 5)
        count = len(list((folder / "truth").glob("*.png")))
        goals = (Goal("hotcoco", 2.2), Goal("panopticapi", 12))
        rows.append(
            Row(
                "panoptic",
                f"COCO, {count} pairs",
                count,
                race("panoptic", names, folder, rounds, ["panopticapi"]),
                goals,
            )
        )
    return rows


SECTIONS = {"semantic": semantic_rows, "panoptic": panoptic_rows}


def main() -> None:
    """Parse, race, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small inputs, three rounds: about two minutes")
    parser.add_argument("--rounds", type=int, help="rounds (default 7, quick 3)")
    parser.add_argument("--only", nargs="+", choices=tuple(SECTIONS), default=tuple(SECTIONS))
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "segeval-benchmarks", help="where inputs are kept"
    )
    parser.add_argument(
        "--out", type=Path, help="default: benchmarks/RESULTS.md, or only the screen with --quick or --only"
    )
    args = parser.parse_args()
    rounds = args.rounds or (3 if args.quick else 7)
    rows: list[Row] = []
    for name in args.only:
        print(f"{name}:", file=sys.stderr)
        rows += SECTIONS[name](args.work, rounds, args.quick)
    partial = args.quick or tuple(args.only) != tuple(SECTIONS)
    write_results(rows, args.out or (None if partial else ROOT / "benchmarks" / "RESULTS.md"), rounds)


__all__ = ["Samples", "main"]

if __name__ == "__main__":
    main()
