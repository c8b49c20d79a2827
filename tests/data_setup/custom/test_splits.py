"""Splits by picture: copies stay together, the seed decides, names do not; and the data sheet."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from data_setup.__main__ import main
from data_setup.custom.splits import copies, divided, thumbnail
from data_setup.index import read_index

HEAD = "image,mask,sentence"


def photo(seed, size=(320, 240)):
    """Something as smooth and as different from others as a photograph."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def again(picture, quality=60):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return Image.open(out)


def folder_of(place, pictures):
    """A folder with one mask and one sentence for each of the pictures, name -> picture."""
    place.mkdir(parents=True)
    rows = [HEAD]
    for name, picture in pictures.items():
        picture.save(place / f"{name}.png")
        mask = Image.new("L", picture.size)
        mask.paste(255, (5, 5, 85, 65))
        mask.save(place / f"{name}_mask.png")
        rows.append(f"{name}.png,{name}_mask.png,the {name} box")
    (place / "sentences.csv").write_text("\n".join(rows))
    return place


def own(folder, *more):
    root = folder.parent / "data"
    assert main(["own", str(folder), "--name", "mine", "--root", str(root), *more]) == 0
    index = read_index(root, "mine")
    files = {image_id: name for image_id, name, _, _ in index.pictures}
    sheet = json.loads((root / "reports" / "mine.json").read_text())
    return {files[row[2]]: row[4] for row in index.referents}, sheet


def test_a_picture_saved_again_or_made_smaller_is_a_copy():
    one, other = photo(1), photo(2)
    found = [
        one,
        other,
        again(one),
        one.resize((160, 120)),
        other.filter(ImageFilter.BLUR),
        photo(3),
    ]
    assert copies([thumbnail(p) for p in found]) == [[0, 2, 3], [1, 4], [5]]
    assert copies([]) == []


def test_a_small_thing_that_has_moved_makes_another_picture():
    moved = photo(1)
    moved.paste((255, 0, 0), (80, 80, 112, 112))
    assert copies([thumbnail(photo(1)), thumbnail(moved)]) == [[0], [1]]


@pytest.mark.skipif("TVNET_REAL_SAMPLES" not in os.environ, reason="real samples are not here")
def test_fifty_photographs_are_fifty_and_their_copies_are_found():
    place = Path(os.environ["TVNET_REAL_SAMPLES"], "coco_instances", "val2017")
    found = [Image.open(path).convert("RGB") for path in sorted(place.iterdir())]
    found += [again(p.resize((p.width // 2, p.height // 2)), 75) for p in found]
    half = len(found) // 2
    assert copies([thumbnail(p) for p in found]) == [[k, k + half] for k in range(half)]


def test_shares_are_held_and_copies_stay_together():
    groups = [[f"{k}"] for k in range(96)] + [["a", "b"], ["c", "d"]]
    found = divided(groups, seed=0)
    count = {
        s: sum(len(g) for g, f in zip(groups, found, strict=True) if f == s) for s in set(found)
    }
    assert count == {"train": 70, "val": 15, "test": 15}
    assert divided(groups, seed=0) == found != divided(groups, seed=1)
    mixed = list(np.random.default_rng(0).permutation(len(groups)))
    assert divided([groups[k] for k in mixed], seed=0) == [found[k] for k in mixed]
    for few, splits in (
        (0, []),
        (1, ["train"]),
        (2, ["train", "val"]),
        (3, ["test", "train", "val"]),
    ):
        assert sorted(divided(groups[:few], seed=0)) == splits
    assert divided([[str(k) for k in range(60)], ["x"], ["y"]], 0)[0] == "train"


@pytest.mark.slow
def test_the_seed_divides_pictures_and_not_their_names(tmp_path):
    pictures = {f"p{k}": photo(k) for k in range(12)} | {"copy": photo(3)}
    found, sheet = own(folder_of(tmp_path / "a" / "own", pictures))
    assert set(found.values()) == {"train", "val", "test"} and found["copy.png"] == found["p3.png"]
    assert sheet["seed"] == 0 and sheet["leaks"] == []
    renamed = {f"q{11 - k}": photo(k) for k in range(12)} | {"zz": photo(3)}
    same, _ = own(folder_of(tmp_path / "b" / "own", renamed))
    assert all(same[f"q{11 - k}.png"] == found[f"p{k}.png"] for k in range(12))
    other, sheet = own(tmp_path / "a" / "own", "--seed", "5")
    assert other != found and sheet["seed"] == 5


def test_the_data_sheet_names_what_is_double_leaks_and_is_not_used(tmp_path, capsys):
    pictures = {"a": photo(1), "b": photo(2), "c": again(photo(1)), "big": photo(4)}
    folder = folder_of(tmp_path / "own", pictures)
    photo(9).save(folder / "left over.jpg")
    Image.open(folder / "b_mask.png").save(folder / "b_too.png")
    Image.new("L", (320, 240), 255).save(folder / "big_mask.png")
    (folder / "sentences.csv").write_text(
        f"{HEAD},split,id\na.png,a_mask.png,a red box,train,\na.png,a_mask.png,a red box,train,\n"
        "b.png,b_mask.png,box,train,\nb.png,b_too.png,box,train,\nc.png,c_mask.png,the box,val,\n"
        "big.png,big_mask.png,everything,val,255\n"
    )
    _, sheet = own(folder)
    assert sheet["seed"] is None
    sizes = sheet["splits"]["train"]["sizes_per_referent"]
    assert sizes == {"small": 0, "medium": 3, "big": 0}
    assert sheet["splits"]["val"]["words_unknown_to_train"] == round(2 / 3, 4)
    assert sheet["words"]["distinct"] == 5 and sheet["words"]["commonest"][0] == ["box", 5]
    leak = {"pictures": ["a.png", "c.png"], "splits": ["train", "val"]}
    assert sheet["leaks"] == [leak] and sheet["duplicates"]["pictures"] == [leak["pictures"]]
    assert sheet["duplicates"]["masks"] == [["b_mask.png", "b_too.png"]]
    assert [(s["picture"], s["sentence"]) for s in sheet["duplicates"]["sentences"]] == [
        ("a.png", "a red box"), ("b.png", "box"),
    ]  # fmt: skip
    assert sheet["not_used"] == ["left over.jpg"] and sheet["problems"] == []
    text = (tmp_path / "data" / "reports" / "mine.md").read_text()
    for words in (
        "| train | 2 | 3 | 0 / 3 / 0 | 4 |", "- `a.png = c.png: train and val`",
        "- `b_mask.png = b_too.png`", "- `b.png: box (b_mask.png, b_too.png)`",
        "- `left over.jpg`", "covers 100% of its picture",
    ):  # fmt: skip
        assert words in text
    assert "picture 'a.png' = 'c.png' is in the splits train and val" in capsys.readouterr().out


@pytest.mark.skipif("TVNET_REAL_SAMPLES" not in os.environ, reason="real samples are not here")
@pytest.mark.slow
def test_fifty_photographs_with_their_true_annotations(tmp_path):
    real = Path(os.environ["TVNET_REAL_SAMPLES"], "coco_instances")
    found = json.loads((real / "instances_val2017.json").read_text())
    names = {category["id"]: category["name"] for category in found["categories"]}
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "val2017").symlink_to(real / "val2017")
    (folder / "instances.json").symlink_to(real / "instances_val2017.json")
    rows = [f"{a['id']},the {names[a['category_id']]}" for a in found["annotations"]]
    (folder / "sentences.csv").write_text("\n".join(["id,sentence", *rows]))
    _, sheet = own(folder)
    assert sum(split["referents"] for split in sheet["splits"].values()) == len(rows) == 382
    assert sheet["leaks"] == [] and sheet["duplicates"]["pictures"] == []
