"""From nothing to a verified data root, over loopback, in one command."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open

from data_setup import commands
from data_setup.__main__ import main
from data_setup.convert.glove import write_rows
from data_setup.fetch.sources import DiskError, SetupError, read_registry
from data_setup.miniref.write import write
from tests.data_setup.fetch.fault_server import running
from tests.data_setup.fetch.mirror import edited, pack, registry, tree
from tvnet.data import refer
from tvnet.data.glove import glove_rows
from tvnet.data.images import open_square
from tvnet.data.words import Vocabulary

SETS = ["unc", "unc+", "gref", "referit", "glove"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world") / "miniref"
    write(root, 30, 5, processes=1)
    return root


@pytest.fixture(scope="module")
def shared(world):
    with running() as server:
        yield server, pack(world)


@pytest.fixture
def mirror(shared, world, tmp_path):
    """(server, the registry of its archives)."""
    server, files = shared
    server.files = {f"/{name}": content for name, content in files.items()}
    server.faults.clear(), server.asked.clear()
    return server, str(registry(files, world, server.url, tmp_path / "mirror.yaml"))


@pytest.fixture(scope="module")
def fetched(shared, world, tmp_path_factory):
    """A root that one command has made; no test may change it."""
    server, files = shared
    folder = tmp_path_factory.mktemp("fetched")
    server.files = {f"/{name}": content for name, content in files.items()}
    path = registry(files, world, server.url, folder / "mirror.yaml")
    assert main(["fetch", *SETS, "--root", str(folder / "data"), "--sources", str(path)]) == 0
    return folder / "data", path


@pytest.mark.slow
def test_one_command_gives_a_verified_root(fetched, capsys):
    root, path = fetched
    assert main(["verify", "--root", str(root), "--sources", str(path)]) == 0
    output = capsys.readouterr().out
    assert output.count("its hash is right") == 7 and "unc+: referents/images/expressions" in output
    assert sorted(p.name for p in root.iterdir()) == [
        "archives", "index", "reports", "statistics", "weights",
    ]  # fmt: skip
    assert not [p for p in root.rglob("*.jpg")] and not [p for p in root.rglob(".*")]


@pytest.mark.parametrize("name", ["unc", "unc+", "gref", "referit"])
def test_it_reads_like_the_drawn_world(fetched, world, name):
    """The same fingerprint: so every file derived from the one fits the other."""
    found, drawn = refer.read(fetched[0], name), refer.read(world, name)
    assert found.fingerprint == drawn.fingerprint and found.missing_pictures() == []
    assert found.referents == drawn.referents and found.categories == drawn.categories
    for image_id in list(drawn.pictures)[:5]:
        squares = [open_square(data, image_id, 96) for data in (found, drawn)]
        assert np.array_equal(*squares)


def test_the_masks_of_referit_are_those_of_the_drawn_world(fetched, world):
    found, drawn = refer.read(fetched[0], "referit"), refer.read(world, "referit")
    for referent in drawn.referents:
        assert np.array_equal(found.mask(referent.ann_id), drawn.mask(referent.ann_id))


def test_workers_read_the_zip_each_with_its_own_handle(fetched):
    data = refer.read(fetched[0], "unc")
    ids = list(data.pictures)

    def square(image_id):
        return torch.from_numpy(open_square(data, image_id, 64))

    loader = torch.utils.data.DataLoader(ids, batch_size=None, num_workers=2, collate_fn=square)
    square(ids[0])  # the parent has its handle open
    for image_id, found in zip(ids, loader, strict=True):
        assert torch.equal(found, square(image_id))


def test_a_second_fetch_asks_for_nothing(fetched, shared, tmp_path):
    root, path = fetched
    before = tree(root)
    shared[0].asked.clear()
    assert main(["fetch", *SETS, "--root", str(root), "--sources", str(path)]) == 0
    assert shared[0].asked == [] and tree(root) == before


def test_the_same_tree_in_another_folder_and_order(fetched, mirror, tmp_path):
    root = tmp_path / "données 数据"
    for name in reversed(SETS[:-1]):
        assert main(["fetch", name, "--root", str(root), "--sources", mirror[1]]) == 0
    assert main(["fetch", "glove", "--root", str(root), "--sources", mirror[1]]) == 0
    found, other = tree(root), tree(fetched[0])
    assert {name for name in found | other if found.get(name) != other.get(name)} == set()


def test_unpacked_pictures_are_accepted(mirror, world, tmp_path):
    shutil.copytree(world / "images", tmp_path / "data" / "images")
    assert main(["fetch", "unc", "--root", str(tmp_path / "data"), "--sources", mirror[1]]) == 0
    assert [asked for asked, _ in mirror[0].asked] == ["/refcoco.zip"]
    found = refer.read(tmp_path / "data", "unc")
    assert found.fingerprint == refer.read(world, "unc").fingerprint
    next((tmp_path / "data" / "images").rglob("*.jpg")).unlink()
    assert main(["verify", "unc", "--root", str(tmp_path / "data"), "--sources", mirror[1]]) == 6


def test_new_sentences_outdate_the_kept_rows(mirror, tmp_path):
    root, rows = tmp_path / "data", tmp_path / "data" / "weights" / "glove-rows.safetensors"
    for sets, kept in ((("unc", "glove"), True), (("unc",), True), (("gref",), False)):
        assert run("fetch", *sets, "--root", root, "--sources", mirror[1]) == 0
        assert rows.is_file() == kept
    assert run("fetch", "glove", "--root", root, "--sources", mirror[1]) == 0
    assert rows.is_file()


def test_glove_keeps_the_rows_of_the_words(fetched):
    with safe_open(fetched[0] / "weights" / "glove-rows.safetensors", "numpy") as file:
        rows, words = file.get_tensor("rows"), json.loads(file.metadata()["words"])
    assert rows.dtype == np.float32 and rows.shape == (len(words), 300)
    assert "the" in words and "left" in words and "at name@domain.com" not in words
    assert np.array_equal(rows[words.index("left")], np.float32(0.1) + np.arange(300, dtype="f4"))
    assert rows[words.index("the")][0] == 0  # of two rows the first


def test_training_reads_the_kept_rows(fetched):
    vocabulary = Vocabulary.build(s.text for s in refer.read(fetched[0], "unc").samples("train"))
    rows, known = glove_rows(fetched[0] / "weights", vocabulary.words, 300)
    left = rows[vocabulary.ids["left"]]
    assert known >= 3 and np.array_equal(left, np.float32(0.1) + np.arange(300, dtype="f4"))


def test_kept_rows_that_are_not_those_written_are_refused_and_made_again(fetched, tmp_path):
    """One bit of one number would be another start of training."""
    folder = shutil.copytree(fetched[0] / "weights", tmp_path / "weights")
    path, archive = folder / "glove-rows.safetensors", folder / "glove.840B.300d.zip"
    whole = write_rows(tmp_path, archive, ["left", "the"]).read_bytes()
    for at in (-1, -301, whole.index(b"left") + 1):
        flipped = bytearray(whole)
        flipped[at] ^= 4
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=f"{path} is damaged .*: delete it and fetch it"):
            glove_rows(folder, ["left", "the"], 300)
    assert write_rows(tmp_path, archive, ["left", "the"]).read_bytes() == whole


def test_statistics_count_what_is_there(fetched, world):
    for name in ("unc", "referit"):
        found = json.loads((fetched[0] / "statistics" / f"{name}.json").read_text())
        assert found == json.loads((world / "statistics" / f"{name}.json").read_text())
    data = refer.read(world, "unc")
    for split, output in found_splits(fetched[0], "unc").items():
        rows = [r for r in data.referents if r.split == split]
        sizes = {"small": 0, "medium": 0, "big": 0}
        for row in rows:
            share = data.mask(row.ann_id).mean()
            sizes["small" if share < 0.05 else "medium" if share < 0.1 else "big"] += 1
        assert output["sizes_per_referent"] == sizes and output["referents"] == len(rows)
        texts = [s.text for r in rows for s in r.sentences]
        assert output["expressions"] == len(texts) == sum(output["sizes_per_sentence"].values())
        assert abs(output["words"]["mean"] - np.mean([len(t.split()) for t in texts])) < 1e-3
    gref = json.loads((fetched[0] / "statistics" / "gref.json").read_text())
    assert gref["images_in_two_splits"]["train and val"] > 0


def found_splits(root, name):
    return json.loads((root / "statistics" / f"{name}.json").read_text())["splits"]


# ---- what goes wrong ----


def run(*arguments):
    return main([str(a) for a in arguments])


def test_offline_opens_no_connection_and_says_what_to_place(mirror, tmp_path, monkeypatch, capsys):
    import socket

    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    root = tmp_path / "data"
    assert run("fetch", "unc", "--root", root, "--sources", mirror[1], "--offline") == 4
    output = capsys.readouterr().err.splitlines()
    source = read_registry(tmp_path / "mirror.yaml")["unc"].sources[0]
    assert output[0] == (
        f"{root / 'archives' / 'refcoco.zip'} is missing. Place it there by hand: {source.urls[0]} "
        f"({source.size} bytes, sha256 {source.sha256})."
    )
    assert len(output) == 2
    (root / "archives").mkdir(parents=True)
    for name in ("refcoco.zip", "train2014.zip"):
        (root / "archives" / name).write_bytes(mirror[0].files[f"/{name}"])
    assert run("fetch", "unc", "--root", root, "--sources", mirror[1], "--offline") == 0


def test_plan_tells_and_loads_nothing(mirror, tmp_path, capsys):
    assert run("plan", "--root", tmp_path / "data", "--sources", mirror[1]) == 0
    output = capsys.readouterr().out
    assert "train2014.zip" in output and "licence: Apache-2.0" in output and "To load: " in output
    assert mirror[0].asked == [] and not (tmp_path / "data").exists()
    assert run("plan", "--root", tmp_path / "data") == 0  # the true one
    output = capsys.readouterr().out
    sources = commands.sources_of(read_registry().values(), tmp_path)
    due = sum(s.size or s.about or 0 for s in sources)
    assert f"To load: {due / 1e9:.2f} GB, and 5 files of unknown size." in output


def test_status_and_clean(mirror, tmp_path, capsys):
    root = tmp_path / "data"
    assert run("status", "unc", "--root", root, "--sources", mirror[1]) == 0
    assert capsys.readouterr().out == (
        "unc: refcoco.zip missing, train2014.zip missing, index missing\n"
    )
    (root / "archives" / ".refcoco.zip.part~free~0~0~00000000").mkdir(parents=True)
    (root / "archives" / ".refcoco.zip.part~free~0~0~00000000" / "data").write_bytes(b"1" * 2000)
    assert run("status", "unc", "--root", root, "--sources", mirror[1]) == 0
    assert "refcoco.zip begun, 0.0 MB" in capsys.readouterr().out
    assert run("clean", "--root", root) == 0
    assert capsys.readouterr().out == f"Removed 1 leftovers in {root}.\n"


def test_a_full_disk_is_noticed_before_the_start(mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "_free", lambda _: 10_000)
    with pytest.raises(DiskError, match="are needed in .*, but 0.0 MB are free: make room or"):
        commands.fetch([read_registry(tmp_path / "mirror.yaml")["unc"]], tmp_path / "data")
    assert mirror[0].asked == []


@pytest.mark.parametrize(
    ("arguments", "code", "output"),
    [
        (["fetch"], 2, "required: SET"),
        (["fetch", "coco"], 2, "There is no set 'coco': choose from unc, unc+, gref"),
        (["fetch", "unc", "--sources", "nowhere.yaml"], 2, "There is no registry at nowhere.yaml"),
        (["verify"], 2, "There is nothing to verify in"),
        (["load", "unc"], 2, "invalid choice: 'load'"),
    ],
)
def test_usage_errors_are_one_sentence(tmp_path, capsys, arguments, code, output):
    arguments = [*arguments, "--root", str(tmp_path / "data")]
    try:
        found = main(arguments)
    except SystemExit as stop:
        found = stop.code
    error = capsys.readouterr().err
    assert found == code and output in error.replace("(choose", "").replace("following ", "")
    assert error.count("\n") == 1


def test_wrong_counts_are_content_errors_with_a_report(shared, mirror, world, tmp_path, capsys):
    def without(found):
        found["annotations"] = found["annotations"][40:]
        found["images"][7]["width"] += 1
        return found

    files = edited(shared[1], "refcoco.zip", without)
    mirror[0].files["/refcoco.zip"] = files["refcoco.zip"]
    path = registry(files, world, mirror[0].url, tmp_path / "mirror.yaml")
    root = tmp_path / "data"
    assert run("fetch", "unc", "--root", root, "--sources", path) == 6
    output = capsys.readouterr().err
    assert "records that are wrong" in output and "which is not usable" in output
    report = json.loads((root / "reports" / "unc.json").read_text())
    reasons = [p["reason"] for p in report["problems"]]
    assert any("points to annotation" in r for r in reasons)
    assert any(" is " in f" {r}" and ", not " in r for r in reasons)  # the picture's size
    assert not (root / "index").exists()


def test_other_counts_than_the_published_ones_are_refused(mirror, tmp_path, capsys):
    path = tmp_path / "mirror.yaml"
    path.write_text(path.read_text().replace("counts:", "counts:\n      testC: [1, 2, 3]", 1))
    found = read_registry(path)
    name = next(name for name, chosen in found.items() if "testC" in (chosen.counts or {}))
    assert run("fetch", name, "--root", tmp_path / "data", "--sources", path) == 6
    output = capsys.readouterr().err
    assert "split testC has None [referents, images, expressions], not [1, 2, 3]" in output


def test_a_flipped_bit_is_found_by_verify(fetched, tmp_path, capsys):
    root, path = fetched
    shutil.copytree(root, tmp_path / "data")
    for name in ("archives/refcoco.zip", "index/gref.json"):
        file = tmp_path / "data" / name
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    assert run("verify", "--root", tmp_path / "data", "--sources", path) == 5
    output = capsys.readouterr()
    assert "refcoco.zip has the sha256" in output.err and "gref.json is damaged" in output.err
    assert "unc+: referents" in output.out  # it went on


def test_bare_names_fetch(tmp_path, capsys):
    assert main(["unc+", "--offline", "--root", str(tmp_path)]) == 4
    assert "web.archive.org/web/20220413011656id_/" in capsys.readouterr().err


def test_the_command_line_ends_without_a_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "data_setup", "fetch", "unc", "--offline", "--root", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4 and "Traceback" not in done.stderr
    assert SetupError.code == 2
