"""ReferIt's own format, written here as its lists and masks are, becomes an index as the others."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from data_setup.convert.folders import index_folders
from data_setup.fetch.sources import ContentError
from tvnet.data import refer
from tvnet.rows import on_data_set
from tvnet.settings import settings

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
def root(tmp_path):
    folder = tmp_path / "root" / "referit"
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
    index_folders(folder.parent)
    return folder.parent


def test_what_was_written_is_read_back(root):
    data = refer.read(root, "referit")
    named = on_data_set(settings("paper"), "referit").data
    assert {named.train_split, named.eval_split} == set(data.splits)
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


def test_the_referent_is_where_the_matrix_is_zero(root):
    data = refer.read(root, "referit")
    assert np.array_equal(data.mask(38685001), region(30, 40))
    assert np.array_equal(data.mask(7023012), region(40, 30))


def test_the_fingerprint_follows_the_masks_and_not_the_folder(root, tmp_path):
    first = refer.read(root, "referit").fingerprint
    moved = shutil.copytree(root, tmp_path / "moved")
    assert refer.read(moved, "referit").fingerprint == first
    savemat(moved / "referit" / "mask" / "38685_2.mat", {"segimg_t": np.zeros((40, 30))})
    index_folders(moved)
    assert refer.read(moved, "referit").fingerprint != first


def test_lists_that_do_not_fit_are_no_index(root):
    (root / "referit" / "mask" / "38685_2.mat").unlink()
    before = (root / "index" / "referit.json").read_bytes()
    with pytest.raises(ContentError, match="region 38685_2 has a mask that is missing"):
        index_folders(root)
    assert (root / "index" / "referit.json").read_bytes() == before
