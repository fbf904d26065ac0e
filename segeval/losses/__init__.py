"""Losses for segmentation: every loss of the survey by Azad et al. (2023), from logits, in one encoding.

>>> import segeval.losses as losses
>>> loss = losses.DiceLoss(ignore_index=255)

Functions are in :mod:`segeval.losses.functional`; maps for the data loader are the `*_map` helpers here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from segeval.losses import functional as functional
from segeval.losses.encoding import Encoded as Encoded
from segeval.losses.encoding import encode as encode
from segeval.losses.maps import border_weight_map as border_weight_map
from segeval.losses.maps import boundary_distance_map as boundary_distance_map
from segeval.losses.maps import inner_distance_map as inner_distance_map
from segeval.losses.maps import inverted_distance_map as inverted_distance_map
from segeval.losses.maps import median_frequency_weights as median_frequency_weights
from segeval.losses.maps import region_wise_map as region_wise_map
from segeval.losses.maps import signed_distance_map as signed_distance_map
from segeval.losses.modules import ActiveBoundaryLoss as ActiveBoundaryLoss
from segeval.losses.modules import BalancedCrossEntropyLoss as BalancedCrossEntropyLoss
from segeval.losses.modules import BorderCrossEntropyLoss as BorderCrossEntropyLoss
from segeval.losses.modules import BoundaryAwareLoss as BoundaryAwareLoss
from segeval.losses.modules import BoundaryDoULoss as BoundaryDoULoss
from segeval.losses.modules import BoundaryLoss as BoundaryLoss
from segeval.losses.modules import ComboLoss as ComboLoss
from segeval.losses.modules import ConditionalBoundaryLoss as ConditionalBoundaryLoss
from segeval.losses.modules import CrossEntropyLoss as CrossEntropyLoss
from segeval.losses.modules import DiceCrossEntropyLoss as DiceCrossEntropyLoss
from segeval.losses.modules import DiceLoss as DiceLoss
from segeval.losses.modules import DistanceCrossEntropyLoss as DistanceCrossEntropyLoss
from segeval.losses.modules import ExponentialLogarithmicLoss as ExponentialLogarithmicLoss
from segeval.losses.modules import FocalLoss as FocalLoss
from segeval.losses.modules import FocalTverskyLoss as FocalTverskyLoss
from segeval.losses.modules import GeneralizedDiceLoss as GeneralizedDiceLoss
from segeval.losses.modules import HausdorffDistanceLoss as HausdorffDistanceLoss
from segeval.losses.modules import HausdorffErosionLoss as HausdorffErosionLoss
from segeval.losses.modules import InverseFormLoss as InverseFormLoss
from segeval.losses.modules import JaccardLoss as JaccardLoss
from segeval.losses.modules import LogCoshDiceLoss as LogCoshDiceLoss
from segeval.losses.modules import Loss as Loss
from segeval.losses.modules import LovaszHingeLoss as LovaszHingeLoss
from segeval.losses.modules import LovaszSoftmaxLoss as LovaszSoftmaxLoss
from segeval.losses.modules import OHEMLoss as OHEMLoss
from segeval.losses.modules import RegionMutualInformationLoss as RegionMutualInformationLoss
from segeval.losses.modules import RegionWiseLoss as RegionWiseLoss
from segeval.losses.modules import SensitivitySpecificityLoss as SensitivitySpecificityLoss
from segeval.losses.modules import ShapeAwareLoss as ShapeAwareLoss
from segeval.losses.modules import SigmoidFocalLoss as SigmoidFocalLoss
from segeval.losses.modules import TLoss as TLoss
from segeval.losses.modules import TopKLoss as TopKLoss
from segeval.losses.modules import TverskyLoss as TverskyLoss
from segeval.losses.modules import UnifiedFocalLoss as UnifiedFocalLoss
from segeval.losses.modules import WassersteinDiceLoss as WassersteinDiceLoss
from segeval.losses.tasks import MaskRCNNLoss as MaskRCNNLoss
from segeval.losses.tasks import PanopticLoss as PanopticLoss
from segeval.losses.weighted import WeightedSum as WeightedSum
from segeval.losses.weighted import linear_schedule as linear_schedule

Level = Literal["pixel", "region", "boundary", "combination", "task"]


@dataclass(frozen=True)
class LossInfo:
    """What the registry knows of a loss.

    Attributes
    ----------
    cls
        The module.
    level
        Its place in the taxonomy: "pixel", "region", "boundary", "combination", or "task".
    paper
        Where it was published.
    needs
        Names of the tensors that the call takes besides logits and labels. Where it is empty, `cls(ignore_index=255)`
        takes (N, C, H, W) logits and (N, H, W) labels and returns a scalar.
    helper
        The function of this package that makes what it needs from the labels of one image, or "".
    """

    cls: type[nn.Module]
    level: Level
    paper: str
    needs: tuple[str, ...] = ()
    helper: str = ""


_MAP = ("distance_map",)

LOSSES: dict[str, LossInfo] = {
    "cross_entropy": LossInfo(CrossEntropyLoss, "pixel", "Long et al., CVPR 2015"),
    "balanced_cross_entropy": LossInfo(BalancedCrossEntropyLoss, "pixel", "Xie and Tu, ICCV 2015"),
    "top_k": LossInfo(TopKLoss, "pixel", "Wu et al., arXiv 1605.06885"),
    "ohem": LossInfo(OHEMLoss, "pixel", "Shrivastava et al., CVPR 2016"),
    "focal": LossInfo(FocalLoss, "pixel", "Lin et al., ICCV 2017"),
    "sigmoid_focal": LossInfo(SigmoidFocalLoss, "pixel", "Lin et al., ICCV 2017"),
    "distance_cross_entropy": LossInfo(
        DistanceCrossEntropyLoss, "pixel", "Caliva et al., MIDL 2019", _MAP, "inverted_distance_map"
    ),
    "border_cross_entropy": LossInfo(
        BorderCrossEntropyLoss, "pixel", "Ronneberger et al., MICCAI 2015", ("instance_ids",), "border_weight_map"
    ),
    "dice": LossInfo(DiceLoss, "region", "Milletari et al., 3DV 2016; Drozdzal et al., 2016"),
    "log_cosh_dice": LossInfo(LogCoshDiceLoss, "region", "Jadon, CIBCB 2020"),
    "generalized_dice": LossInfo(GeneralizedDiceLoss, "region", "Sudre et al., DLMIA 2017"),
    "wasserstein_dice": LossInfo(WassersteinDiceLoss, "region", "Fidon et al., BrainLes 2017"),
    "jaccard": LossInfo(JaccardLoss, "region", "Rahman and Wang, ISVC 2016"),
    "lovasz_softmax": LossInfo(LovaszSoftmaxLoss, "region", "Berman et al., CVPR 2018"),
    "lovasz_hinge": LossInfo(LovaszHingeLoss, "region", "Yu and Blaschko, ICML 2015"),
    "tversky": LossInfo(TverskyLoss, "region", "Salehi et al., MLMI 2017"),
    "focal_tversky": LossInfo(FocalTverskyLoss, "region", "Abraham and Khan, ISBI 2019"),
    "sensitivity_specificity": LossInfo(SensitivitySpecificityLoss, "region", "Brosch et al., MICCAI 2015"),
    "region_mutual_information": LossInfo(RegionMutualInformationLoss, "region", "Zhao et al., NeurIPS 2019"),
    "t_loss": LossInfo(TLoss, "region", "González-Jiménez et al., MICCAI 2023"),
    "boundary": LossInfo(BoundaryLoss, "boundary", "Kervadec et al., MIDL 2019", _MAP, "signed_distance_map"),
    "hausdorff_distance": LossInfo(HausdorffDistanceLoss, "boundary", "Karimi and Salcudean, TMI 2019"),
    "hausdorff_erosion": LossInfo(HausdorffErosionLoss, "boundary", "Karimi and Salcudean, TMI 2019"),
    "boundary_aware": LossInfo(BoundaryAwareLoss, "boundary", "Hayder et al., CVPR 2017", _MAP, "inner_distance_map"),
    "active_boundary": LossInfo(
        ActiveBoundaryLoss, "boundary", "Wang et al., AAAI 2022", _MAP, "boundary_distance_map"
    ),
    "inverse_form": LossInfo(InverseFormLoss, "boundary", "Borse et al., CVPR 2021"),
    "conditional_boundary": LossInfo(ConditionalBoundaryLoss, "boundary", "Wu et al., TIP 2023", ("features",)),
    "boundary_dou": LossInfo(BoundaryDoULoss, "boundary", "Sun et al., MICCAI 2023"),
    "region_wise": LossInfo(RegionWiseLoss, "boundary", "Valverde and Tohka, PR 2023", _MAP, "region_wise_map"),
    "shape_aware": LossInfo(ShapeAwareLoss, "boundary", "Al Arif et al., MSKI 2017", _MAP, "boundary_distance_map"),
    "combo": LossInfo(ComboLoss, "combination", "Taghanaki et al., CMIG 2019"),
    "exponential_logarithmic": LossInfo(ExponentialLogarithmicLoss, "combination", "Wong et al., MICCAI 2018"),
    "unified_focal": LossInfo(UnifiedFocalLoss, "combination", "Yeung et al., CMIG 2022"),
    "dice_cross_entropy": LossInfo(DiceCrossEntropyLoss, "combination", "Isensee et al., Nature Methods 2021"),
    "mask_rcnn": LossInfo(MaskRCNNLoss, "task", "He et al., ICCV 2017", ("sampled_regions",)),
    "panoptic": LossInfo(PanopticLoss, "task", "Kirillov et al., CVPR 2019", ("instance_terms",)),
}

# The losses, and what is made of them: all that these modules define, less what begins with an underscore.
__all__ = ["LOSSES", "Level", "functional"]
__all__ += [
    n for n, made in vars().items() if n[0] != "_" and str(getattr(made, "__module__", "")).startswith(__name__)
]
