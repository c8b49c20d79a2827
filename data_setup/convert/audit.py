"""Whether the pictures on disk are those of the index: there, and of the size that it says."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from data_setup.convert.validate import Findings
from data_setup.fetch.sources import ContentError
from data_setup.index import Index
from data_setup.pictures import opened


def audit_pictures(root: Path, index: Index, findings: Findings) -> None:
    """Open the header of every picture: what is missing, damaged or of another size is a problem.

    Sizes are those of the stored pixels: an EXIF turn is not applied, as masks are not turned.
    """
    stream = _stream(root, index)
    for image_id, name, width, height in index.pictures:
        record = f"image {image_id} ('{name}')"
        try:
            with stream(name) as file, opened(file) as picture:
                if picture.size != (width, height):
                    found = f"{picture.width}x{picture.height}"
                    findings.problem(index.name, record, f"is {found}, not {width}x{height}")
                elif picture.mode[0] in "IF":
                    reason = f"has the mode {picture.mode}, not 8 bits a channel"
                    findings.problem(index.name, record, reason)
        except (FileNotFoundError, KeyError):
            findings.problem(index.name, record, "is missing")
        except ValueError as error:
            findings.problem(index.name, record, str(error))
        except Exception as error:  # damaged archives raise many kinds
            findings.problem(index.name, record, f"cannot be opened ({error!r:.80})")


def _stream(root: Path, index: Index) -> Callable[[str], BinaryIO]:
    """How to reach a picture: in the first folder of `pictures_in` that is there, or in the zip."""
    for place in index.pictures_in:
        if (root / place).is_dir():
            return lambda name: (root / place / name).open("rb")
        before, ending, inside = place.partition(".zip")
        archive = root / (before + ending)
        if ending and archive.is_file():
            zipped = zipfile.ZipFile(archive)
            return lambda name: zipped.open(f"{inside}/{name}".strip("/"))  # noqa: B023
    raise ContentError(f"There are no pictures of {index.name} in {root}.")
