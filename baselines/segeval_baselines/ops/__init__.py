"""Operations on boxes and regions in plain torch, on CPU and GPU: nothing compiled, no other vision library.

Boxes are float tensors (x1, y1, x2, y2) in pixels. They are edges: a mask of column 0 alone has x1 = 0, x2 = 1.
"""

from segeval_baselines.ops.anchors import cell_anchors, grid_anchors
from segeval_baselines.ops.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes, mask_boxes
from segeval_baselines.ops.nms import batched_nms, nms
from segeval_baselines.ops.paste import paste_masks
from segeval_baselines.ops.roi_align import pyramid_roi_align, roi_align

__all__ = [
    "batched_nms",
    "box_area",
    "box_iou",
    "cell_anchors",
    "clip_boxes",
    "decode_boxes",
    "encode_boxes",
    "grid_anchors",
    "mask_boxes",
    "nms",
    "paste_masks",
    "pyramid_roi_align",
    "roi_align",
]
