"""MiniRef packed as the archives in which the true data sets are published, with a registry."""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import yaml

from data_setup.convert.validate import counts
from data_setup.index import read_index

WORDS = ("the", "left", "red", ",", "tree")  # of the small GloVe
REFS = {"unc": "refs(unc).p", "unc+": "refs(unc).p", "gref": "refs(google).p"}
FOLDERS = {"unc": "refcoco", "unc+": "refcoco+", "gref": "refcocog"}


def zipped(members, method=zipfile.ZIP_STORED):
    """Bytes of a zip of (name, content); the same members give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            archive.writestr(info, content)
    return out.getvalue()


def tarred(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0)


def glove():
    lines = ["{} {}".format(word, " ".join(f"{k / 10 + n:.1f}" for n in range(300)))
             for k, word in enumerate((*WORDS, "at name@domain.com", "the"))]  # fmt: skip
    return zipped([("glove.840B.300d.txt", "\n".join(lines))], zipfile.ZIP_DEFLATED)


def pack(world):
    """Archive name -> bytes of a drawn world."""
    files = {}
    for name, folder in FOLDERS.items():
        parts = [f"{folder}/instances.json", f"{folder}/{REFS[name]}"]
        members = [(part, (world / part).read_bytes()) for part in parts]
        files[f"{folder}.zip"] = zipped(members, zipfile.ZIP_DEFLATED)
    pictures = sorted((world / "images/mscoco/images/train2014").iterdir())
    files["train2014.zip"] = zipped([(f"train2014/{p.name}", p.read_bytes()) for p in pictures])
    pictures = sorted((world / "referit/images").iterdir())
    files["saiapr_tc-12.zip"] = zipped(
        [(f"saiapr_tc-12/{p.stem[:2]}/{kind}/{p.name}", p.read_bytes() * (kind == "images"))
         for p in pictures for kind in ("images", "segmented_images")]
    )  # fmt: skip
    lists = sorted(p for p in (world / "referit").rglob("*") if p.suffix in (".json", ".mat"))
    files["referitdata.tar.gz"] = tarred(
        [(p.relative_to(world).as_posix(), p.read_bytes()) for p in lists]
    )
    files["glove.840B.300d.zip"] = glove()
    return files


def registry(files, world, url, path):
    """Write the registry of these archives, served at `url`; its path."""
    entries = {}
    for name, content in files.items():
        entries[name] = {
            "name": name,
            "folder": "weights" if name.startswith("glove") else "archives",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "urls": [f"{url}/{name}"],
            "licence": "Apache-2.0",
        }
    sets = {}
    for name, folder in FOLDERS.items():
        sets[name] = {
            "kind": "refer",
            "annotations": f"{folder}.zip",
            "pictures": "train2014.zip",
            "members": {f"{folder}/instances.json": 10**8, f"{folder}/{REFS[name]}": 10**8},
            "counts": counts(read_index(world, name).referents),
        }
    sets["referit"] = {
        "kind": "lists", "annotations": "referitdata.tar.gz", "pictures": "saiapr_tc-12.zip",
    }  # fmt: skip
    sets["glove"] = {"kind": "glove", "files": ["glove.840B.300d.zip"]}
    places = {
        "train2014.zip": {"inside": "train2014", "unpacked": "images/mscoco/images/train2014"},
        "saiapr_tc-12.zip": {"inside": None, "unpacked": None},
    }
    path.write_text(yaml.safe_dump({"files": entries, "sets": sets, "pictures": places}))
    return path


def tree(root):
    """path -> sha256 of every file below a root, to compare two of them."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(root).rglob("*"))
        if path.is_file()
    }


def edited(files, name, change):
    """The archives with the JSON of one member changed by `change`."""
    with zipfile.ZipFile(io.BytesIO(files[name])) as archive:
        members = [(i.filename, archive.read(i)) for i in archive.infolist()]
    content = [
        (n, json.dumps(change(json.loads(c))).encode() if n.endswith(".json") else c)
        for n, c in members
    ]
    return files | {name: zipped(content, zipfile.ZIP_DEFLATED)}
