"""Contenders: the boxes of COCO results, to the twelve numbers."""

from benchmarks.instance import contenders

CONTENDERS = contenders("bbox")
