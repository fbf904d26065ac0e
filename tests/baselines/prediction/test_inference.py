from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segeval_baselines.networks.pspnet import PSPNet
from segeval_baselines.networks.unet import UNet, valid_input, valid_output
from segeval_baselines.prediction.inference import Predictor, View, mirror, overlap_tiles, sliding_windows
from torch import Tensor, nn

from segeval.errors import SegevalError


def predictor(network: nn.Module, image_scale: float = 1.0) -> Predictor:
    return Predictor(network.eval(), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), image_scale, torch.device("cpu"))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def unpadded() -> UNet:
    return UNet(3, width=4, depth=2, padding="valid").eval()


def forward(network: UNet) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        main: Tensor = network(x).main
        return main

    return run


def test_the_papers_sizes() -> None:
    assert valid_output(572, 4) == 388
    assert valid_input(388, 4) == 572
    with torch.device("meta"):
        network = UNet(2, channels=1, padding="valid")
        assert network.border == 92
        assert network(torch.empty(1, 1, 572, 572)).main.shape == (1, 2, 388, 388)
        with pytest.raises(SegevalError, match="takes no side of 570 pixels; the next that it takes is 572"):
            network(torch.empty(1, 1, 572, 570))


@given(side=st.integers(1, 300), depth=st.integers(1, 4))
def test_the_least_input_is_the_least(side: int, depth: int) -> None:
    entering = valid_input(side, depth)
    assert (valid_output(entering, depth) or 0) >= side
    smaller = [valid_output(s, depth) or 0 for s in range(1, entering)]
    assert max(smaller, default=0) < side


def test_the_border_is_constant_and_skips_are_centred() -> None:
    for depth in (1, 2, 3, 4):
        with torch.device("meta"):
            network = UNet(2, width=2, depth=depth, padding="valid")
        for side in (50, 131, 200):
            entering = valid_input(side, depth)
            assert valid_output(entering, depth) == entering - 2 * network.border


@settings(max_examples=15, deadline=None)
@given(height=st.integers(20, 70), width=st.integers(20, 70), window=st.sampled_from([12, 20, 33]))
def test_tiles_give_what_the_whole_image_gives(height: int, width: int, window: int) -> None:
    network, x = unpadded(), torch.randn(1, 3, height, width)
    with torch.no_grad():
        whole, tiled = (overlap_tiles(forward(network), x, 2, w) for w in (None, window))
    assert whole.shape == (1, 3, height, width)
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5)


def test_inside_tiles_equal_the_network_on_the_bare_image() -> None:
    network = unpadded()
    side = valid_input(40, 2)
    x, b = torch.randn(1, 3, side, side), network.border
    with torch.no_grad():
        bare = network(x).main
        # Pixels whose neighbourhood lies within the image don't see the mirror; poolings must start alike.
        tiled = overlap_tiles(forward(network), x, 2, 24)
    assert b % 4 == 0
    torch.testing.assert_close(tiled[..., b:-b, b:-b], bare, rtol=1e-4, atol=1e-5)


@given(before=st.integers(0, 20), below=st.integers(0, 20), right=st.integers(0, 20))
def test_mirroring_is_numpys_reflection(before: int, below: int, right: int) -> None:
    x = np.random.default_rng(0).random((1, 1, 4, 7))
    expected = np.pad(x, ((0, 0), (0, 0), (before, below), (before, right)), mode="reflect")
    assert np.array_equal(mirror(torch.from_numpy(x), before, below, right).numpy(), expected)


def test_windows_cover_everything_and_average() -> None:
    def colours(part: Tensor) -> Tensor:
        return part * 3

    x = torch.randn(1, 4, 37, 51)
    for window, overlap in ((16, 0.0), (16, 0.5), (20, 1 / 3), (60, 0.3)):
        found = sliding_windows(colours, x, window, overlap)
        # A network that looks at single pixels doesn't notice windows.
        torch.testing.assert_close(found.softmax(1), (x * 3).softmax(1))
    assert sliding_windows(colours, torch.full((1, 2, 8, 8), -200.0), 4, 0.5).isfinite().all()


def test_a_window_as_large_as_the_image_changes_nothing() -> None:
    ready, image = predictor(PSPNet(3, depth=18, width=8)), picture(33, 40)
    assert np.array_equal(ready.labels(image), ready.labels(image, View(window=64)))


def test_flips_make_prediction_equivariant() -> None:
    ready, image = predictor(UNet(3, width=4, depth=2, norm=True)), picture(32, 40)
    scores = ready.scores(image, View(flip=True))
    mirrored = ready.scores(image[:, ::-1].copy(), View(flip=True)).flip(-1)
    torch.testing.assert_close(scores, mirrored)
    torch.testing.assert_close(scores.sum(0), torch.ones(32, 40))


def test_scales_average_probabilities() -> None:
    ready, image = predictor(UNet(3, width=4, depth=2, norm=True)), picture(32, 40)
    both = ready.scores(image, View(scales=(1.0, 1.5)))
    one = ready.scores(image).softmax(0)
    # One zoom given twice is the plain probabilities.
    torch.testing.assert_close(ready.scores(image, View(scales=(1.0, 1.0))), one)
    assert both.shape == one.shape
    assert not torch.allclose(both, one, atol=1e-4)


def test_predictions_have_the_images_size_at_any_scale() -> None:
    for scale in (0.5, 0.37, 2.0):
        assert predictor(UNet(3, width=4, depth=2), scale).labels(picture(45, 31)).shape == (45, 31)


def test_wrong_views_are_told_in_one_line() -> None:
    for wrong in ({"window": 0}, {"overlap": 1.0}, {"scales": ()}, {"scales": (0.0,)}):
        with pytest.raises(SegevalError):
            View(**wrong)  # type: ignore[arg-type]
