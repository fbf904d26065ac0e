"""Reading label maps from BMP, GIF, WebP and JPEG: palette indices where the format has a palette, else its samples."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.readers.maps.png_chunks import most_pixels
from segeval.readers.protocol import Notes

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

LOSSLESS = (".bmp", ".gif", ".webp")
LOSSY = (".jpg", ".jpeg")

_BMP_HEAD = 14


def read_picture(path: Path, notes: Notes | None = None) -> NDArray[Any]:
    """The stored values of a BMP, GIF, WebP or JPEG file.

    Parameters
    ----------
    path
        A file with one of the extensions above.
    notes
        Where to leave word of a coding that changes values.

    Returns
    -------
    map
        (H, W), or (H, W, channels) for colours. WebP knows no grey, so equal channels without transparency are grey.

    Raises
    ------
    SegevalError
        For several frames, a frame that does not cover the image, and more pixels than the limit.
    """
    data = path.read_bytes()
    with _opened(data, path.suffix.lower()) as image:
        width, height = image.size
        if width * height > most_pixels():
            raise SegevalError(
                f"declares {width}x{height} pixels (limit {most_pixels()})",
                file=path,
                remedy=f"if that is meant, set the environment variable SEGEVAL_MAX_PIXELS={width * height}",
            )
        if (frames := getattr(image, "n_frames", 1)) != 1:
            raise SegevalError(f"holds {frames} frames", file=path, remedy="write one frame an image")
        if image.tile and image.tile[0][1] not in (None, (0, 0, width, height)):
            raise SegevalError("holds a frame that does not cover the image", file=path, remedy="write the file again")
        values = np.array(image)
    if notes is not None and (image.format == "JPEG" or data[12:16] == b"VP8 " or b"ALPHVP8 " in data[:64]):
        notes.add("lossy", f"{_NAMES[path.suffix.lower()]} does not keep values exactly", path)
    if values.dtype == bool:
        return values.view(np.uint8)
    return _grey(values) if image.format in ("WEBP", "JPEG") else values


_NAMES = {".webp": "lossy WebP", ".jpg": "JPEG", ".jpeg": "JPEG"}


def _opened(data: bytes, extension: str) -> ImageFile:
    """An image by the reader that its name calls for: Pillow's own choice has a limit on pixels of its own."""
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.GifImagePlugin import GifImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    if extension == ".bmp":
        return BmpImageFile(io.BytesIO(_without_greys(data)))
    kind = {".gif": GifImageFile, ".webp": WebPImageFile}.get(extension, JpegImageFile)
    return kind(io.BytesIO(data))


def _without_greys(data: bytes) -> bytes:
    """A BMP with a palette of no greys: Pillow would read a grey one's indices by rules that hold for 8 bits only."""
    if data[:2] != b"BM" or len(data) < _BMP_HEAD + 12:
        return data
    size = int.from_bytes(data[14:18], "little")
    bits = int.from_bytes(data[24:26] if size == 12 else data[28:30], "little")
    begin, end = _BMP_HEAD + size, int.from_bytes(data[10:14], "little")
    if bits > 8 or end <= begin:
        return data
    return data[:begin] + b"\1\2\3\0" * ((end - begin) // 4) + b"\1" * ((end - begin) % 4) + data[end:]


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    """One channel of colours that are greys all over, and opaque."""
    if values.ndim != 3 or not (values[..., 1:3] == values[..., :1]).all():
        return values
    if values.shape[2] == 4 and not (values[..., 3] == 255).all():
        return values
    return np.ascontiguousarray(values[..., 0])
