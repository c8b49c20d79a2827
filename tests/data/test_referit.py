"""ReferIt's own format, written here as its lists and masks are, opens as the same ReferData."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tvnet.data import refer

SIZES = {"7023.jpg": [40, 30], "38685.jpg": [30, 40]}
QUERIES = {
    "trainval": {"38685_1": ["sky", "The sky, above."], "38685_2": ["bush"]},
    "test": {"7023_12": ["tallest bldng"]},
}


def region(width, height):
    mask = np.zeros((height, width), dtype=bool)
    mask[3:9, 5:20] = True
    return mask


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "referit"
    (folder / "images").mkdir(parents=True)
    (folder / "mask").mkdir()
    (folder / "referit_imsize.json").write_text(json.dumps(SIZES))
    for name, size in SIZES.items():
        Image.new("RGB", size, "grey").save(folder / "images" / name)
    for split, queries in QUERIES.items():
        (folder / f"referit_query_{split}.json").write_text(json.dumps(queries))
        for key in queries:
            mask = region(*SIZES[f"{key.split('_')[0]}.jpg"])
            # 0 where the referent is: inverted, as in the true files
            savemat(folder / "mask" / f"{key}.mat", {"segimg_t": np.where(mask, 0, 255)})
    return folder


def test_what_was_written_is_read_back(folder):
    data = refer.read(folder.parent, "referit")
    assert data.splits == ["test", "trainval"] and data.categories == {0: "region"}
    found = [(s.text, s.image_id, s.ann_id) for s in data.samples("trainval")]
    assert found == [
        ("sky", 38685, 38685001),
        ("The sky, above.", 38685, 38685001),
        ("bush", 38685, 38685002),
    ]
    assert [s.ann_id for s in data.samples("test")] == [7023012]
    ids = [s.sent_id for split in data.splits for s in data.samples(split)]
    assert sorted(ids) == [0, 1, 2, 3]
    picture = data.pictures[7023]
    assert (picture.width, picture.height) == (40, 30) and picture.path.is_file()
    assert data.missing_pictures() == []


def test_the_referent_is_where_the_matrix_is_zero(folder):
    data = refer.read(folder.parent, "referit")
    assert np.array_equal(data.mask(38685001), region(30, 40))
    assert np.array_equal(data.mask(7023012), region(40, 30))


def test_the_fingerprint_follows_the_mask_files_and_not_the_folder(folder, tmp_path):
    first = refer.read(folder.parent, "referit").fingerprint
    folder.rename(tmp_path / "aside")
    (tmp_path / "moved").mkdir()
    (tmp_path / "aside").rename(tmp_path / "moved" / "referit")
    assert refer.read(tmp_path / "moved", "referit").fingerprint == first
    (tmp_path / "moved" / "referit" / "mask" / "38685_2.mat").unlink()
    assert refer.read(tmp_path / "moved", "referit").fingerprint != first


def test_bad_masks_name_the_file(folder):
    data = refer.read(folder.parent, "referit")
    file = folder / "mask" / "38685_2.mat"
    savemat(file, {"segimg_t": np.zeros((4, 4))})
    with pytest.raises(ValueError, match=r"38685_2.mat is \(4, 4\), its image \(40, 30\)"):
        data.mask(38685002)
    for content in (b"", b"<html>503</html>", file.read_bytes()[:150]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="Annotation 38685002 .*38685_2.mat cannot be read"):
            data.mask(38685002)
    savemat(file, {"other": np.zeros((40, 30))})
    with pytest.raises(ValueError, match="38685_2.mat cannot be read .*'segimg_t'"):
        data.mask(38685002)
    file.unlink()
    with pytest.raises(ValueError, match="38685_2.mat cannot be read"):
        data.mask(38685002)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("referit_query_test.json", '{"5_1": ["a"]}', "Region 5_1 of test .* does not hold"),
        ("referit_query_test.json", '{"7023": ["a"]}', "'7023', not a region with its texts"),
        ("referit_query_test.json", '{"7023_1": "a"}', "'7023_1', not a region with its texts"),
        ("referit_query_test.json", '{"38685_2": ["a"]}', "Annotation 38685002 .* stands twice"),
        ("referit_query_test.json", '{"38685_2"', "referit_query_test.json is damaged"),
        ("referit_query_test.json", "[]", "referit_query_test.json is damaged .*list, not dict"),
        ("referit_imsize.json", '{"a.jpg": [1, 2]}', r"'a.jpg': \[1, 2\], not a picture's size"),
        ("referit_imsize.json", '{"1.jpg": [1]}', r"'1.jpg': \[1\], not a picture's size"),
        ("referit_imsize.json", '{"1.jpg": [1, 0]}', "gives the picture .*1.jpg 1x0 pixels"),
    ],
)
def test_damaged_lists_are_one_sentence(folder, file, content, words):
    (folder / file).write_text(content)
    with pytest.raises(ValueError, match=words + ".*fetch or draw the data again"):
        refer.read(folder.parent, "referit")


def test_missing_lists_are_one_sentence(folder):
    (folder / "referit_query_test.json").unlink()
    with pytest.raises(FileNotFoundError, match="referit_query_test.json is missing: fetch or"):
        refer.read(folder.parent, "referit")
    (folder / "referit_imsize.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"imsize.json is missing, so .* no 'referit'"):
        refer.read(folder.parent, "referit")
