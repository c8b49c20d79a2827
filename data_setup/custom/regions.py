"""The annotation files of a folder: read once, their regions found by picture and id."""

import json
import os
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from data_setup.convert.validate import Findings, is_plain
from data_setup.custom.formats import OutlineError, Region, reader_of
from data_setup.custom.table import ANNOTATIONS, TABLES, Cells, Row
from data_setup.fetch.sources import ContentError

MOST_BYTES = 500_000_000  # of an annotation file, which is read as a whole
UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before a file's name
MOST_SHOWN = 6  # ids in a message


class Annotations:
    """Regions of the annotation files below a folder, a data root inside it left out."""

    def __init__(self, folder: Path, root: Path):
        self.folder = folder
        self.paths: dict[str, list[str]] = {}  # name of a file -> its paths below the folder
        seen = {root.resolve()} - {folder.resolve()}  # also against links that lead in circles
        for place, folders, files in os.walk(folder, followlinks=True):
            if (here := Path(place).resolve()) in seen:
                folders.clear()
                continue
            seen.add(here)
            folders[:] = sorted(name for name in folders if name[0] != ".")
            below = Path(place).relative_to(folder)
            for name in sorted(files):
                self.paths.setdefault(name, []).append((below / name).as_posix())
        self.used: dict[str, list[Region]] = {}  # file -> its regions, of those that were read
        self._named: dict[tuple[str, str], str] = {}  # file, picture -> how the file names it
        self._by_key: dict[str, dict[tuple[str, str], list[Region]]] = {}  # "" for all files

    def files(self) -> list[str]:
        """Whatever may be an annotation file."""
        names = (name for name in self.paths if name.lower().endswith(ANNOTATIONS))
        return [path for name in names if name not in TABLES for path in self.paths[name]]

    def sentences(self, findings: Findings) -> Cells:
        """Those that the annotation files hold themselves, as rows of a table."""
        for file in self.files():
            regions = self._regions(file, only_known=True) or []
            for region in regions:
                cells = {"image": region.image, "mask": file, "id": region.id}
                for text in region.texts:
                    yield file, region.place, cells | {"sentence": text}
            if silent := sum(not region.texts for region in regions):
                reason = f"has {silent} of {len(regions)} regions without a sentence: left out"
                findings.remark(file, "it", reason)

    def find(self, row: Row) -> Region:
        """The region of a row without a mask file; ValueError that says why there is not one."""
        found = self._lookup(row.mask)
        where = f"'{row.mask}'" if row.mask else "the annotation files of the folder"
        if not found:
            raise ValueError(f"lacks mask, and {where} hold no region: name a mask file")
        image = self.picture(row.image) if row.image else ""
        fits = found.get((row.id, image), [])
        if len(fits) == 1:
            return fits[0]
        asked = f"id '{row.id:.40}'" if row.id else "no id"
        asked += f" of '{image}'" * bool(image)
        if fits:
            ids = ", ".join(region.id for region in fits[:MOST_SHOWN])
            reason = f"names {asked}, which fits {len(fits)} regions of {where} (id {ids})"
            raise ValueError(f"{reason}: say which one in the columns image, id and mask")
        others = found.get(("", image), [])
        ids = ", ".join(region.id for region in others[:MOST_SHOWN]) or "none"
        raise ValueError(f"names {asked}, but {where} has the ids {ids} there: name one of them")

    def picture(self, name: str, beside: str = "") -> str:
        """The picture file that a name from another computer means; ValueError without one."""
        name = name.replace("\\", "/")
        near = posixpath.normpath(posixpath.join(beside, name))
        base = posixpath.basename(name)
        there = self.paths.get(base) or self.paths.get(UPLOADED.sub("", base)) or []
        if near in there:
            there = [near]
        if len(there) > 1:
            there = [path for path in there if f"/{name}".endswith(f"/{path}")] or there
        if not there:
            raise ValueError(f"'{name:.60}' is missing: put the picture into the folder")
        if len(there) > 1:
            listed = " and ".join(f"'{path}'" for path in there[:2])
            raise ValueError(f"'{name:.60}' may be {listed}: rename one of them in both places")
        if not _may_be(name, there[0], beside):
            raise ValueError(
                f"'{name:.60}' is missing, and '{there[0]}' lies in another folder: put the "
                "picture into the folder that is named"
            )
        return there[0]

    def _lookup(self, file: str) -> dict[tuple[str, str], list[Region]]:
        if file not in self._by_key:
            if file:
                regions: Iterable = self._regions(file)
            else:
                known = [self._regions(path, only_known=True) or [] for path in self.files()]
                regions = (region for group in known for region in group)
            keys = self._by_key[file] = {}
            for region in regions:
                for key in {(a, b) for a in (region.id, "") for b in (region.image, "")}:
                    keys.setdefault(key, []).append(region)
        return self._by_key[file]

    def _regions(self, file: str, only_known: bool = False) -> list[Region] | None:
        """The regions of a file, None where it is in no known format and `only_known`."""
        if file not in self.used:
            if not is_plain(file) or not os.path.isfile(self.folder / file):
                raise ValueError(f"names the mask '{file:.60}', which is missing: add the file")
            found = _parsed(self.folder / file)
            reader = reader_of(found)
            if reader is None:
                if only_known:
                    return None
                raise ContentError(
                    f"{self.folder / file} is no export of COCO, LabelMe, VIA, CVAT for images or "
                    "Label Studio: export it again in one of these formats."
                )
            regions: list[Region] = []
            try:
                for region in reader(found):
                    regions.append(self._placed(region, file))
            except OutlineError as error:
                raise ContentError(f"{self.folder / file} cannot be used: {error}.") from error
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                last = f"after {regions[-1].place}" if regions else "at its start"
                raise ContentError(
                    f"{self.folder / file} has another structure than {reader.__name__} "
                    f"{last} ({error!r:.60}): export it again, or move it away."
                ) from error
            self.used[file] = regions
        return self.used[file]

    def _placed(self, region: Region, file: str) -> Region:
        """The region with the file of its picture, or with why there is none."""
        region.file, named = file, region.image
        try:
            region.image = path = self.picture(named, posixpath.dirname(file))
            other = self._named.setdefault((file, path), named)
            if other != named:
                raise ValueError(
                    f"'{named:.60}' and '{other:.60}' are both '{path}': add the other"
                )
        except ValueError as error:
            region.fault = region.fault or f"lies in a picture that cannot be taken: {error}"
        return region


def _may_be(name: str, path: str, beside: str) -> bool:
    """Whether the only file of this name is the one that is meant, and not another folder's."""
    folder = posixpath.dirname(name)
    foreign = name[0] == "/" or ":" in name or UPLOADED.match(posixpath.basename(name))
    return bool(
        not folder or foreign  # without a folder, or with one of another computer
        or posixpath.dirname(path) in ("", beside)
        or f"/{name}".endswith(f"/{path}") or f"/{path}".endswith(f"/{name.lstrip('./')}")
    )  # fmt: skip


def _parsed(path: Path) -> Any:
    """What a JSON or XML file holds; ContentError naming the file and the place."""
    if path.stat().st_size > MOST_BYTES:
        most = MOST_BYTES // 1_000_000
        raise ContentError(f"{path} has more than {most} MB: split it into several files.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if path.suffix.lower() != ".xml":
            return json.loads(text)
        if "<!DOCTYPE" in text or "<!ENTITY" in text:  # no exporter writes them
            raise ValueError("it declares a document type, which is not read")
        return ElementTree.fromstring(text)
    except (ValueError, ElementTree.ParseError, RecursionError) as error:
        raise ContentError(
            f"{path} cannot be read ({error}): export it again, or move it away."
        ) from error
