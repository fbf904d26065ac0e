"""Thin faces for code that was written for other scorers: change one import.

- `pycocotools_style`: ``COCOeval``
- `panopticapi_style`: ``pq_compute``
- `torchvision_style`: ``CocoEvaluator``
- `torchmetrics_style`: ``SegmentationMetric``
- `hugging_face`: ``compute_metrics_for``
"""
