"""How fast pictures and masks come, against Pillow and pycocotools.

Run it as `python tests/benchmarks/bench_data.py`. One process, one thread, the ways interleaved,
medians of single reads. Needs TVNET_REAL_SAMPLES; without it, a drawn world takes the place of true
photographs.
"""

import io
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from timing import FAST, say  # first: it limits the threads

import numpy as np  # isort: skip
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_setup.miniref.write import write  # noqa: E402
from tests.real_root import real_samples, write_real_root  # noqa: E402
from tvnet.data import refer  # noqa: E402
from tvnet.data.cache import TrainingCache  # noqa: E402
from tvnet.data.images import open_picture, placement, resize_and_pad  # noqa: E402
from tvnet.data.masks import store  # noqa: E402

SIZE, ROUNDS = 320, 2 if FAST else 7
ZIP, CACHED = "ours, through the zip", "ours, the training cache"
COPY, DECODE = "limit: copying that many bytes", "limit: decoding the JPEG alone"


def zipped(pictures, path):
    """The pictures stored in a zip, as train2014.zip holds them; id -> path through it."""
    with zipfile.ZipFile(path, "w") as archive:
        for picture in pictures:
            archive.write(picture.path.resolve(), f"train2014/{picture.path.name}")
    return {p.image_id: path / "train2014" / p.path.name for p in pictures}


def pillow(picture):
    """The plain way: open the file, convert, resize, paste onto black."""
    with Image.open(picture.path) as file:
        rgb = file.convert("RGB")
    place = placement(picture.height, picture.width, SIZE)
    square = Image.new("RGB", (SIZE, SIZE))
    inner = rgb.resize((place.inner_width, place.inner_height), Image.Resampling.BILINEAR)
    square.paste(inner, (place.left, place.top))
    return np.asarray(square)


def torchvision_way(content, picture):
    """torchvision's decoder and resizer, which differ from Pillow's by one here and there."""
    from torchvision.io import ImageReadMode, decode_jpeg

    tensor = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    pixels = decode_jpeg(tensor, mode=ImageReadMode.RGB)[None]
    place = placement(picture.height, picture.width, SIZE)
    inner = torch.nn.functional.interpolate(
        pixels, (place.inner_height, place.inner_width), mode="bilinear", antialias=True
    )
    square = np.zeros((SIZE, SIZE, 3), dtype=np.uint8)
    square[place.inner] = inner[0].permute(1, 2, 0).numpy()
    return square


def pycocotools_way(segmentation, picture):
    """A polygon at the picture's size, then the nearest pixel of the padded square."""
    from pycocotools import mask as coco

    runs = coco.frPyObjects(segmentation, picture.height, picture.width)
    mask = coco.decode(coco.merge(runs))
    place = placement(picture.height, picture.width, SIZE)
    inner = Image.fromarray(mask).resize((place.inner_width, place.inner_height), 0)
    square = np.zeros((SIZE, SIZE), dtype=bool)
    square[place.inner] = np.asarray(inner)
    return square


def medians(ways, items):
    """Milliseconds of each way; they take turns, each with all items, as an epoch reads them."""
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            for item in items:
                start = time.perf_counter()
                way(item)
                seconds[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(times) for name, times in seconds.items()}


def table(title, found):
    """Print milliseconds and what each way gains over the first."""
    print(f"\n{title}")
    first = next(iter(found.values()))
    for name, ms in found.items():
        print(f"  {name:44s} {ms:8.4f} ms   {first / ms:7.2f} x")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if real_samples() is not None:
            write_real_root(real_samples(), folder / "root")
        else:
            write(folder / "root", 60)
        data = refer.read(folder / "root", "unc")
        pictures = list(data.pictures.values())
        inside = zipped(pictures, folder / "train2014.zip")
        contents = {p.image_id: p.path.read_bytes() for p in pictures}
        cache = TrainingCache(
            data, SIZE, store(data, folder / "masks.safetensors"), folder / "cache"
        )

        def through_zip(p):
            return resize_and_pad(open_picture(inside[p.image_id], p.width, p.height), SIZE)

        different = most = 0
        for p in pictures:
            plain = pillow(p)
            assert np.array_equal(plain, through_zip(p))
            assert np.array_equal(plain, cache.square(p.image_id))
            gap = np.abs(plain.astype(int) - torchvision_way(contents[p.image_id], p)).max()
            different, most = different + (gap > 0), max(most, gap)
        row = np.zeros(SIZE * SIZE * 3, dtype=np.uint8)
        found = medians(
            {
                "Pillow, plain": pillow,
                ZIP: through_zip,
                "torchvision (not used, see below)": lambda p: torchvision_way(
                    contents[p.image_id], p
                ),
                CACHED: lambda p: cache.square(p.image_id),
                COPY: lambda p: row.copy(),
                DECODE: lambda p: Image.open(io.BytesIO(contents[p.image_id])).load(),
            },
            pictures,
        )
        table(f"A picture to {SIZE} x {SIZE}", found)
        print(
            f"  torchvision differs from Pillow in {different} of {len(pictures)} pictures, "
            f"by {most} at most: not used, since another version of it would give other pixels"
        )
        pixels = found["Pillow, plain"]
        limit = f"limit here {pixels / found[DECODE]:.1f}x: decoding the JPEG alone"
        say("a picture: Pillow / ours, through the zip", pixels / found[ZIP], 0.9, limit)
        limit = f"limit here {pixels / found[COPY]:.0f}x: copying its bytes"
        say("a picture: Pillow / ours, cached", pixels / found[CACHED], 80, limit)
        polygons = [a for a in data.image_of if isinstance(data.segmentations[a], list)]
        bits = np.zeros(SIZE * SIZE // 8, dtype=np.uint8)
        found = medians(
            {
                "pycocotools, then nearest": lambda a: pycocotools_way(
                    data.segmentations[a], data.pictures[data.image_of[a]]
                ),
                "ours, bit-packed": cache.target,
                "limit: unpacking alone": lambda a: np.unpackbits(bits),
            },
            polygons,
        )
        table(f"A mask to {SIZE} x {SIZE}", found)
        coco, ours, bound = found.values()
        limit = f"limit here {coco / bound:.0f}x: unpacking its bits"
        say("a mask: pycocotools / ours, bit-packed", coco / ours, 50, limit)


if __name__ == "__main__":
    main()
