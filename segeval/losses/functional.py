"""Every loss as a function of (logits, target), in the manner of torch.nn.functional."""

from segeval.losses.boundary.boundary import boundary, boundary_aware, boundary_dou, region_wise, shape_aware
from segeval.losses.boundary.contour import active_boundary, conditional_boundary
from segeval.losses.boundary.hausdorff import hausdorff_distance, hausdorff_erosion
from segeval.losses.boundary.inverse_form import inverse_form
from segeval.losses.compound import (
    combo,
    dice_cross_entropy,
    exponential_logarithmic,
    unified_focal,
)
from segeval.losses.pixel import (
    balanced_cross_entropy,
    border_cross_entropy,
    cross_entropy,
    distance_cross_entropy,
    focal,
    ohem,
    sigmoid_focal,
    top_k,
)
from segeval.losses.region.dice import (
    dice,
    focal_tversky,
    generalized_dice,
    jaccard,
    log_cosh_dice,
    sensitivity_specificity,
    tversky,
    wasserstein_dice,
)
from segeval.losses.region.lovasz import lovasz_hinge, lovasz_softmax
from segeval.losses.region.statistical import region_mutual_information, t_loss
from segeval.losses.tasks import (
    mask_rcnn,
    panoptic,
    region_box,
    region_class,
    region_mask,
    rpn_box,
    rpn_objectness,
    smooth_l1,
)

__all__ = [
    "active_boundary",
    "balanced_cross_entropy",
    "border_cross_entropy",
    "boundary",
    "boundary_aware",
    "boundary_dou",
    "combo",
    "conditional_boundary",
    "cross_entropy",
    "dice",
    "dice_cross_entropy",
    "distance_cross_entropy",
    "exponential_logarithmic",
    "focal",
    "focal_tversky",
    "generalized_dice",
    "hausdorff_distance",
    "hausdorff_erosion",
    "inverse_form",
    "jaccard",
    "log_cosh_dice",
    "lovasz_hinge",
    "lovasz_softmax",
    "mask_rcnn",
    "ohem",
    "panoptic",
    "region_box",
    "region_class",
    "region_mask",
    "region_mutual_information",
    "region_wise",
    "rpn_box",
    "rpn_objectness",
    "sensitivity_specificity",
    "shape_aware",
    "sigmoid_focal",
    "smooth_l1",
    "t_loss",
    "top_k",
    "tversky",
    "unified_focal",
    "wasserstein_dice",
]
