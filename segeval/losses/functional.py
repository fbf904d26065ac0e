"""Every loss as a function of (logits, target), in the manner of torch.nn.functional."""

from segeval.losses.boundary.boundary import boundary as boundary
from segeval.losses.boundary.boundary import boundary_aware as boundary_aware
from segeval.losses.boundary.boundary import boundary_dou as boundary_dou
from segeval.losses.boundary.boundary import region_wise as region_wise
from segeval.losses.boundary.boundary import shape_aware as shape_aware
from segeval.losses.boundary.contour import active_boundary as active_boundary
from segeval.losses.boundary.contour import conditional_boundary as conditional_boundary
from segeval.losses.boundary.hausdorff import hausdorff_distance as hausdorff_distance
from segeval.losses.boundary.hausdorff import hausdorff_erosion as hausdorff_erosion
from segeval.losses.boundary.inverse_form import inverse_form as inverse_form
from segeval.losses.compound import combo as combo
from segeval.losses.compound import dice_cross_entropy as dice_cross_entropy
from segeval.losses.compound import exponential_logarithmic as exponential_logarithmic
from segeval.losses.compound import unified_focal as unified_focal
from segeval.losses.pixel import balanced_cross_entropy as balanced_cross_entropy
from segeval.losses.pixel import border_cross_entropy as border_cross_entropy
from segeval.losses.pixel import cross_entropy as cross_entropy
from segeval.losses.pixel import distance_cross_entropy as distance_cross_entropy
from segeval.losses.pixel import focal as focal
from segeval.losses.pixel import ohem as ohem
from segeval.losses.pixel import sigmoid_focal as sigmoid_focal
from segeval.losses.pixel import top_k as top_k
from segeval.losses.region.dice import dice as dice
from segeval.losses.region.dice import focal_tversky as focal_tversky
from segeval.losses.region.dice import generalized_dice as generalized_dice
from segeval.losses.region.dice import jaccard as jaccard
from segeval.losses.region.dice import log_cosh_dice as log_cosh_dice
from segeval.losses.region.dice import sensitivity_specificity as sensitivity_specificity
from segeval.losses.region.dice import tversky as tversky
from segeval.losses.region.dice import wasserstein_dice as wasserstein_dice
from segeval.losses.region.lovasz import lovasz_hinge as lovasz_hinge
from segeval.losses.region.lovasz import lovasz_softmax as lovasz_softmax
from segeval.losses.region.statistical import region_mutual_information as region_mutual_information
from segeval.losses.region.statistical import t_loss as t_loss
from segeval.losses.tasks import mask_rcnn as mask_rcnn
from segeval.losses.tasks import panoptic as panoptic
from segeval.losses.tasks import region_box as region_box
from segeval.losses.tasks import region_class as region_class
from segeval.losses.tasks import region_mask as region_mask
from segeval.losses.tasks import rpn_box as rpn_box
from segeval.losses.tasks import rpn_objectness as rpn_objectness
from segeval.losses.tasks import smooth_l1 as smooth_l1

__all__ = [name for name in dir() if name[0] != "_" and name != "annotations"]
