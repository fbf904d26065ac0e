"""The rows of the benchmark: which contenders, on which input, with which goals."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from benchmarks import instance_inputs, pixel_inputs
from benchmarks.measure import ROOT, Samples, race, run_command
from benchmarks.results import Goal, Row

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
        folder = pixel_inputs.warp_folders(
            [DATA / "camvid" / f"{s}annot" for s in splits], work / f"camvid-{len(splits)}", 2, 11, 11
        )
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
            [DATA / "coco_panoptic" / "semantic" / s for s in splits], work / f"coco-{len(splits)}", 3, 201, 0
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
        folder = pixel_inputs.warp_panoptic(sources, work / f"coco-panoptic-{len(splits)}", 5)
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


def instance_rows(work: Path, rounds: int, quick: bool) -> list[Row]:
    """COCO instances JSON and results JSON, masks and boxes."""
    fast = ["segeval", "segeval, 2 threads", "hotcoco", "vernier", "ultrafast-pycocotools"]
    slow = ["faster-coco-eval", "pycocotools"]
    rows = []
    for images in (200,) if quick else (1000, 5000):
        folder = work / f"instances{images}"
        instance_inputs.write(folder, images, seed=6)
        for iou in ("segm", "bbox"):
            goals = (*(Goal(peer, 1) for peer in fast[2:]), Goal("pycocotools", 20))
            names = [*fast, *slow]
            samples = race(f"instance-{iou}", names, folder, rounds, slow)
            rows.append(Row(f"instance {iou}", f"{images} images, 30 detections each", images, samples, goals))
    return rows


def start_rows(work: Path, rounds: int, quick: bool) -> list[Row]:
    """Whole processes of the command on 100 images, kernels cached; and the very first run, which compiles."""
    street = pixel_inputs.write_semantic(work / "small100", 100, 480, 640, seed=7)
    panoptic = pixel_inputs.write_panoptic(work / "panoptic100", 100, 480, 640, seed=8)
    instances = instance_inputs.write(work / "instances100", 100, seed=9)
    tasks = {
        "semantic": (street / "prediction", street / "truth"),
        "panoptic": (panoptic / "prediction.json", panoptic / "truth.json"),
        "instance": (instances["segm"], instances["truth"]),
    }
    rows = []
    for task, (pred, gt) in tasks.items():
        words = ["score", "--task", task, "--pred", str(pred), "--gt", str(gt), "--quiet", "--workers", "1"]
        samples = [Samples("segeval score, cached"), Samples("segeval score, first run ever")]
        for cold, seen in enumerate(samples):
            for _ in range(1 if cold else rounds + 1):
                run_command(words, seen, cold=bool(cold))
        del samples[0].cpu[0], samples[0].wall[0], samples[0].total[0]
        rows.append(Row(f"whole process, {task}", "100 images 640x480", 100, samples, ()))
    return rows


def thread_rows(work: Path, rounds: int, quick: bool) -> list[Row]:
    """Two threads against one, on inputs that keep one thread busy for seconds."""
    names = ["segeval, 2 threads", "segeval"]
    goals = (Goal("segeval", 1.8, "wall"),)
    street = pixel_inputs.write_semantic(work / "street40", 40, 1024, 2048, seed=1)
    small = pixel_inputs.write_semantic(work / "small100", 100, 480, 640, seed=7)
    panoptic = pixel_inputs.write_panoptic(work / "panoptic100", 100, 480, 640, seed=8)
    rows = []
    for task, source, times, size in (
        ("semantic", street, 5 if quick else 30, "2048x1024"),
        ("semantic", small, 20 if quick else 120, "640x480"),
        ("panoptic", panoptic, 8 if quick else 40, "640x480"),
    ):
        folder = pixel_inputs.repeat_pairs(source, work / f"{source.name}-{times}-times", times)
        count = len(list((folder / "truth").glob("*.png")))
        samples = race(task, names, folder, rounds)
        rows.append(Row(f"threads, {task}", f"{count} PNG pairs {size}", count, samples, goals))
    return rows


SECTIONS: dict[str, Callable[[Path, int, bool], list[Row]]] = {
    "semantic": semantic_rows,
    "panoptic": panoptic_rows,
    "instance": instance_rows,
    "threads": thread_rows,
    "start": start_rows,
}
