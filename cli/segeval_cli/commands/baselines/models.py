"""`segeval models`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from segeval_cli.commands.baselines.train import require_torch


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "models",
        help="list the baseline networks",
        description="Architectures with paper, presets, parameters, GFLOPs, published results and their protocol.",
    )
    parser.add_argument("names", nargs="*", metavar="MODEL", help="only these")
    parser.add_argument("--num-classes", type=int, default=21, metavar="N", help="channels of the output (default: 21)")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(360, 480), metavar=("H", "W"), help="for the GFLOPs (default: 360 480)"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what is printed (default: text)")


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    require_torch()
    from segeval_baselines.checkpoints.checkpoint import bundled
    from segeval_baselines.cost import cost
    from segeval_baselines.zoo import MODELS, architecture

    rows = []
    for name in args.names or MODELS:
        entry = architecture(name)
        presets = {}
        for preset in entry.presets:
            found = cost(name, preset, classes=args.num_classes, size=tuple(args.size))
            presets[preset] = {"parameters": found.parameters, "gflops": round(found.flops / 1e9, 2)}
        published = [{"value": p.value, "protocol": p.protocol} for p in entry.published]
        demo = f"{name}-demo" if f"{name}-demo" in bundled() else None
        rows.append(
            {
                "name": name,
                "title": entry.title,
                "paper": entry.paper,
                "task": entry.task,
                "presets": presets,
                "published": published,
                "bundled": demo,
            }
        )
    if args.format == "json":
        print(json.dumps({"classes": args.num_classes, "size": list(args.size), "models": rows}, indent=1))
        return 0
    print(f"parameters and GFLOPs at {args.num_classes} classes, one {args.size[0]}x{args.size[1]} image\n")
    for row in rows:
        print(_text(row))
    return 0


def _text(row: dict[str, Any]) -> str:
    lines = [f"{row['name']}: {row['title']} ({row['paper']}); {row['task']}"]
    lines += [f"    {n:<12} {p['parameters']:>12,}  {p['gflops']:>8.2f}" for n, p in row["presets"].items()]
    lines += [f"    published: {p['value']} ({p['protocol']})" for p in row["published"]]
    if row["bundled"]:
        lines.append(f"    comes with the package: segeval predict --model {row['bundled']}")
    return "\n".join(lines)


__all__ = ["add_parser", "run"]
