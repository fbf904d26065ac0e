"""`segeval bench`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from segeval_cli.commands.baselines.train import require_torch


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "bench",
        help="measure the baseline networks on this machine",
        description="Latency, throughput, peak memory and FLOPs of forward passes with random weights.",
    )
    parser.add_argument("names", nargs="+", metavar="MODEL", help="names from segeval models")
    parser.add_argument("--preset", default="tiny", help="tiny, full, ... (default: tiny)")
    parser.add_argument("--size", type=int, nargs=2, default=(360, 480), metavar=("H", "W"), help="default: 360 480")
    parser.add_argument(
        "--batch", type=int, default=4, metavar="N", help="images a pass for the throughput (default: 4)"
    )
    parser.add_argument("--passes", type=int, default=10, metavar="N", help="timed passes (default: 10)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (default: auto)")
    parser.add_argument("--amp", action="store_true", help="bfloat16 where it is safe")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what is printed (default: text)")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    require_torch()
    import torch
    from segeval_baselines.group import device_of

    device, (height, width) = device_of(args.device), args.size
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    rows = [_measured(name, args, device) for name in args.names]
    if args.format == "json":
        about = {"device": machine, "preset": args.preset, "size": [height, width], "batch": args.batch}
        print(json.dumps({**about, "torch": torch.__version__, "models": rows}, indent=1))
        return 0
    print(f"{machine}; {args.preset}, {height}x{width}, batch {args.batch}, torch {torch.__version__}")
    print(f"{'model':<20}{'parameters':>12}{'GFLOPs':>9}{'ms':>9}{'slowest':>9}{'images/s':>10}{'peak MiB':>10}")
    for r in rows:
        print(
            f"{r['model']:<20}{r['parameters']:>12,}{r['gflops']:>9}{r['latency_ms']:>9}{r['slowest_ms']:>9}"
            f"{r['images_per_s']:>10}{r['peak_mib']:>10}"
        )
    return 0


def _measured(name: str, args: argparse.Namespace, device: Any) -> dict[str, Any]:
    from segeval_baselines.cost import bench, cost
    from segeval_baselines.zoo import build

    size = tuple(args.size)
    known = cost(name, args.preset, size=size)
    network = build(name, 21, args.preset)
    timed = bench(network, size, device, batch=args.batch, passes=args.passes, amp=args.amp)
    return {
        "model": name,
        "parameters": known.parameters,
        "gflops": round(known.flops / 1e9, 2),
        "latency_ms": round(timed.latency, 2),
        "slowest_ms": round(timed.slowest, 2),
        "images_per_s": round(timed.throughput, 2),
        "peak_mib": round(timed.memory, 1),
    }


__all__ = ["add_parser", "run"]
