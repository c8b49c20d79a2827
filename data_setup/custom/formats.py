"""Exports of annotation tools -> regions: COCO, LabelMe, VIA, CVAT for images, Label Studio.

Each reader takes the parsed file and gives its regions in order. Of a region that cannot be used,
`fault` says why; a file that has another structure raises what its first odd value raises.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from data_setup.custom.outlines import OutlineError, box, ellipse, png, polygon, row_runs

REMEDY = "draw it as a polygon, or export masks as PNG files"
SAID_OF_A_REGION = (  # by Label Studio, in results of their own that have no outline
    "textarea", "choices", "labels", "rating", "number", "taxonomy", "datetime", "pairwise",
    "ranker",
)  # fmt: skip


@dataclass
class Region:
    """One outlined thing of an annotation file."""

    place: str  # in its file, as "annotation 17"
    id: str
    image: str  # as the file names it
    size: tuple[Any, Any]  # width and height of the picture, None where the file does not say
    texts: list[str]
    parts: list = field(default_factory=list)  # of a COCO segmentation, united
    fault: str = ""
    file: str = ""


def reader_of(found: Any) -> Callable[[Any], Iterator[Region]] | None:
    """The reader of a parsed JSON or XML file; None where it is in none of these formats."""
    if isinstance(found, Element):
        return cvat if found.tag == "annotations" else None
    if isinstance(found, list):
        tasks = found and all(isinstance(task, dict) and "data" in task for task in found)
        return label_studio if tasks else None
    if not isinstance(found, dict):
        return None
    if "annotations" in found:
        return coco
    if "shapes" in found:
        return labelme
    regions = all(isinstance(e, dict) and "regions" in e for e in _via_entries(found))
    return via if found and regions else None


def coco(found: dict) -> Iterator[Region]:
    images: dict[Any, dict] = {}
    for image in found["images"]:
        if images.setdefault(image["id"], image) is not image:
            raise OutlineError(
                f"image {image['id']!r:.20} stands twice: give each an id of its own"
            )
    for entry in found["annotations"]:
        image = images.get(entry["image_id"], {})
        size = (image.get("width"), image.get("height"))
        texts = _sentences(entry) or _sentences(entry.get("attributes"))
        key, name = str(entry["id"]), str(image.get("file_name", ""))
        given = entry.get("segmentation")
        parts = given if isinstance(given, list) else [given]
        fault = "" if image else f"lies in image {entry['image_id']!r:.20}, which is not listed"
        fault += ": list it under `images`" * (not image)
        yield Region(f"annotation {key}", key, name, size, texts, parts, fault)


def labelme(found: dict) -> Iterator[Region]:
    size, name = (found.get("imageWidth"), found.get("imageHeight")), str(found["imagePath"])
    for numbers, shapes in _grouped(found["shapes"]):
        texts = [text for shape in shapes for text in _lines(shape.get("description"))]
        texts = list(dict.fromkeys(texts)) or _lines(shapes[0].get("label"))
        region = Region(f"shape {', '.join(numbers)}", numbers[0], name, size, texts)
        yield _drawn(region, _labelme_part, shapes)


def _labelme_part(shape: dict, size: tuple) -> list | dict:
    kind, points = shape.get("shape_type") or "polygon", shape["points"]
    if kind == "polygon":
        return polygon(points)
    if kind == "rectangle":
        return box(*points[0], *points[1])
    if kind == "circle":
        radius = math.dist(*points)
        return ellipse(*points[0], radius, radius)
    if kind == "mask":
        return png(shape["mask"], *points[0], size)
    raise OutlineError(f"is a {kind:.20}: {REMEDY}")


def _via_entries(found: dict) -> Iterable:
    """The pictures of a VIA project, or of the annotations that it exports."""
    entries = found.get("_via_img_metadata", found)
    return entries.values() if isinstance(entries, dict) else [None]


def via(found: dict) -> Iterator[Region]:
    for entry in _via_entries(found):
        name, shapes = str(entry["filename"]), entry["regions"]
        for numbers, (shape,) in _grouped(shapes.values() if isinstance(shapes, dict) else shapes):
            texts = _sentences(shape.get("region_attributes"))
            place = f"region {numbers[0]} of '{name}'"
            region = Region(place, numbers[0], name, (None, None), texts)
            yield _drawn(region, _via_part, [shape["shape_attributes"]])


def _via_part(shape: dict, size: tuple) -> list:
    kind = shape["name"]
    if kind == "polygon":
        return polygon(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
    if kind == "rect":
        x, y = shape["x"], shape["y"]
        return box(x, y, x + shape["width"], y + shape["height"])
    if kind == "circle":
        return ellipse(shape["cx"], shape["cy"], shape["r"], shape["r"])
    if kind == "ellipse":
        turn = math.degrees(shape.get("theta", 0))
        return ellipse(shape["cx"], shape["cy"], shape["rx"], shape["ry"], turn)
    raise OutlineError(f"is a {kind:.20}: {REMEDY}")


def cvat(root: Element) -> Iterator[Region]:
    if root.find("track") is not None:
        raise OutlineError("it holds the tracks of a video: export it as 'CVAT for images 1.1'")
    for image in root.iter("image"):
        size, name = (int(image.attrib["width"]), int(image.attrib["height"])), image.attrib["name"]
        for numbers, shapes in _grouped(shape for shape in image if shape.tag != "tag"):
            said = [a for shape in shapes for a in shape.iter("attribute")]
            texts = [t for a in said if a.get("name") == "sentence" for t in _lines(a.text)]
            place = f"shape {', '.join(numbers)} of '{name}'"
            region = Region(place, numbers[0], name, size, list(dict.fromkeys(texts)))
            yield _drawn(region, _cvat_part, shapes)


def _cvat_part(shape: Element, size: tuple) -> list | dict:
    def numbers(*keys: str) -> list[float]:
        return [float(shape.attrib[key]) for key in keys]

    turn = float(shape.get("rotation", 0))
    if shape.tag == "polygon":
        return polygon(point.split(",") for point in shape.attrib["points"].split(";"))
    if shape.tag == "box":
        x, y, right, bottom = numbers("xtl", "ytl", "xbr", "ybr")
        return box(x, y, right, bottom, turn, ((x + right) / 2, (y + bottom) / 2))
    if shape.tag == "ellipse":
        return ellipse(*numbers("cx", "cy", "rx", "ry"), turn)
    if shape.tag == "mask":
        place = map(int, numbers("left", "top", "width", "height"))
        return row_runs(shape.attrib["rle"], *place, size)
    raise OutlineError(f"is a {shape.tag:.20}: {REMEDY}")


def label_studio(found: list) -> Iterator[Region]:
    for task in found:
        data = task["data"]
        name = unquote(str(data.get("image") or next(iter(data.values()), ""))).split("?d=")[-1]
        done = [a for a in task.get("annotations", ()) if not a.get("was_cancelled")]
        results = [result for annotation in done for result in annotation["result"]]
        texts: dict[str, list[str]] = {}
        for result in results:
            if result["type"] == "textarea":
                texts.setdefault(str(result.get("id")), []).extend(_lines(result["value"]["text"]))
        for result in results:
            if "original_width" in result and result["type"] not in SAID_OF_A_REGION:
                key, size = str(result["id"]), (result["original_width"], result["original_height"])
                region = Region(f"region '{key}'", key, name, size, texts.get(key, []))
                yield _drawn(region, _label_studio_part, [result])


def _label_studio_part(result: dict, size: tuple) -> list:
    """All lengths of these values are percents of the picture."""
    kind, value = result["type"].removesuffix("labels"), result["value"]
    if result.get("image_rotation"):
        raise OutlineError(
            "was drawn on a picture turned in the tool: turn the picture file instead"
        )
    across, down = size[0] / 100, size[1] / 100
    if kind == "polygon":
        return polygon((x * across, y * down) for x, y in value["points"])
    if kind not in ("rectangle", "ellipse"):
        raise OutlineError(f"is a {kind:.20}: {REMEDY}")
    x, y, turn = value["x"] * across, value["y"] * down, value.get("rotation", 0)
    if kind == "ellipse":
        return ellipse(x, y, value["radiusX"] * across, value["radiusY"] * down, turn)
    return box(x, y, x + value["width"] * across, y + value["height"] * down, turn, (x, y))


def _grouped(shapes: Iterable) -> Iterator[tuple[list[str], list]]:
    """Numbers from 1 and shapes, those of one group_id together."""
    groups: dict[Any, tuple[list[str], list]] = {}
    for number, shape in enumerate(shapes, 1):
        group = shape.get("group_id")
        numbers, members = groups.setdefault((group, number * (group is None)), ([], []))
        numbers.append(str(number))
        members.append(shape)
    yield from groups.values()


def _drawn(region: Region, part: Callable, shapes: list) -> Region:
    """The region with the parts that its shapes give, or with why one gives none."""
    try:
        region.parts = [part(shape, region.size) for shape in shapes]
    except OutlineError as error:
        region.fault = str(error)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        region.fault = f"has an outline that cannot be read ({error!r:.60}): draw it again"
    return region


def _sentences(holder: Any) -> list[str]:
    """What an object says under the key `sentence` or `sentences`."""
    holder = holder if isinstance(holder, dict) else {}
    return _lines(holder.get("sentence")) + _lines(holder.get("sentences"))


def _lines(value: Any) -> list[str]:
    """The sentences of a text, one a line, or of a list of such texts."""
    texts = value if isinstance(value, list) else [value]
    lines = (line.strip() for text in texts if isinstance(text, str) for line in text.split("\n"))
    return [line for line in lines if line]
