"""Pictures and maps: to a padded square, and back to the picture's own size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from data_setup.pictures import flat
from tvnet.data.contents import file_of
from tvnet.data.records import ReferData

BLANK = -1  # the id of the all-black picture


@dataclass(frozen=True)
class Placement:
    """Where a picture lies inside its padded square, in pixels of the square."""

    size: int
    height: int  # of the picture itself
    width: int
    inner_height: int  # of the picture inside the square
    inner_width: int
    top: int
    left: int

    @property
    def inner(self) -> tuple[slice, slice]:
        """Rows and columns of the square that hold picture."""
        rows = slice(self.top, self.top + self.inner_height)
        return rows, slice(self.left, self.left + self.inner_width)

    @property
    def inner_cells(self) -> tuple[slice, slice]:
        """Rows and columns of a map at 1/8 whose cells hold picture."""
        return self.inner_cells_at(8)

    def inner_cells_at(self, stride: int) -> tuple[slice, slice]:
        """The same of a map at 1/stride: its cells that are nearest to a pixel of the picture.

        Cell i looks at pixel stride * i (D38), so no cell lies in the padding alone, and each pixel
        of the picture has its cell.
        """
        last = -(-self.size // stride) - 1

        def nearest(pixel: int) -> int:
            return min((pixel + stride // 2) // stride, last)

        return tuple(slice(nearest(s.start), nearest(s.stop - 1) + 1) for s in self.inner)


def placement(height: int, width: int, size: int) -> Placement:
    """Scale to fit and centre; an odd remainder of the padding goes to the bottom and right.

    The rounding and the offsets are those of CMPC.
    """
    scale = min(size / height, size / width)
    inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size - inner_height) // 2, (size - inner_width) // 2
    return Placement(size, height, width, inner_height, inner_width, top, left)


def open_picture(path: Path, width: int, height: int) -> Image.Image:
    """The picture as 8-bit RGB, whatever mode the file has, read as `flat` says.

    Stored pixels are never turned by an EXIF flag, here or later: masks are in stored order. Raises
    FileNotFoundError or ValueError naming the file: damaged, another size than the index says
    (checked before any pixel is decoded), or more than 8 bits a channel.
    """
    try:
        with Image.open(file_of(path)) as file:
            found = file.size
            if found == (width, height):
                return flat(file)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"The picture {path} is missing: fetch or draw the data again."
        ) from None
    except Exception as error:  # damaged files raise many kinds
        raise ValueError(
            f"The picture {path} cannot be decoded ({error}): fetch or draw it again."
        ) from error
    raise ValueError(
        f"The picture {path} is {found[0]}x{found[1]}, but the index says {width}x{height}: "
        "fetch or draw the data again."
    )


def resize_and_pad(picture: Image.Image | np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) uint8, the picture centred on black.

    `picture` is RGB, or uint8 (H, W, 3). Resized by Pillow, bilinear, antialiased (D50).
    """
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    place = placement(picture.height, picture.width, size)
    inner = picture.resize((place.inner_width, place.inner_height), Image.Resampling.BILINEAR)
    square = np.zeros((size, size, 3), dtype=np.uint8)
    square[place.inner] = np.asarray(inner)
    return square


def open_image(data: ReferData, image_id: int) -> Image.Image:
    """One picture of a data set as RGB; ValueError where it has none of this id."""
    if image_id not in data.pictures:
        raise ValueError(f"{data.name} has no picture {image_id}.")
    picture = data.pictures[image_id]
    return open_picture(picture.path, picture.width, picture.height)


def open_square(data: ReferData, image_id: int, size: int) -> np.ndarray:
    """(size, size, 3) uint8 of one picture of a data set, black for BLANK."""
    if image_id == BLANK:
        return np.zeros((size, size, 3), dtype=np.uint8)
    return resize_and_pad(open_image(data, image_id), size)


def mask_target(mask: np.ndarray, size: int) -> np.ndarray:
    """(size, size) bool training target of a mask (H, W) bool.

    A cell is foreground where the mask touches it, as in prior code, which dilates small
    referents a little. Interpolation reads two pixels of a line, so thin parts of a picture that
    shrinks to less than half would be passed over.
    """
    place = placement(*mask.shape, size)
    whole = torch.from_numpy(np.ascontiguousarray(mask))[None, None].float()
    square = np.zeros((size, size), dtype=bool)
    touched = _bilinear(whole, place.inner_height, place.inner_width)
    if max(mask.shape) > 2 * size:
        pooled = F.adaptive_max_pool2d(whole, (place.inner_height, place.inner_width))
        touched = torch.maximum(touched, pooled)
    square[place.inner] = touched[0, 0].numpy() > 0
    return square


def crop_and_resize(square: Tensor, place: Placement) -> Tensor:
    """(B, C, size, size) -> (B, C, height, width): cut the padding off, resize bilinearly.

    The way back of the `clean` evaluator.
    """
    _refuse_other_size(square, place)
    return _bilinear(square[(..., *place.inner)], place.height, place.width)


def resize_and_crop(square: Tensor, place: Placement) -> Tensor:
    """(B, C, size, size) -> (B, C, height, width): resize with the padding, cut the centre out.

    The way back of CMPC (im_processing), and so of the `parity` evaluator: the padding blends
    into the picture's border, and the cut may be off by one pixel where sizes are rounded.
    """
    _refuse_other_size(square, place)
    side = round(place.size * max(place.height / place.size, place.width / place.size))
    top, left = (side - place.height) // 2, (side - place.width) // 2
    whole = _bilinear(square, side, side)
    return whole[..., top : top + place.height, left : left + place.width]


def _refuse_other_size(square: Tensor, place: Placement) -> None:
    if square.shape[-2:] != (place.size, place.size):
        raise ValueError(
            f"A map of {tuple(square.shape[-2:])} does not fit a placement of size {place.size}: "
            "ask `placement` for the map's own size."
        )


def _bilinear(x: Tensor, height: int, width: int) -> Tensor:
    """The one resizer of masks and logits: bilinear, half-pixel centres, not antialiased."""
    return F.interpolate(x, (height, width), mode="bilinear", align_corners=False, antialias=False)
