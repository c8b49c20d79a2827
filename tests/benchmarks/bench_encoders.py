"""DistilBERT and VGG16, at their true size with random weights, against one input at a time."""

import hashlib
import os
import tempfile
from pathlib import Path

from timing import FAST, interleaved, peak, say  # first: it limits the threads

import numpy as np  # isort: skip
import torch
import torch.nn.functional as F
from PIL import Image
from synthetic import repetitions, texts

from tvnet.data.images import open_image
from tvnet.data.records import Picture, ReferData
from tvnet.model import pretrained
from tvnet.retrieval import paper_encoders
from tvnet.retrieval.paper_encoders import DistilBert, Vgg16, precision_of

COUNT, UNIQUE = 512 if FAST else 4096, 0.54  # expressions, of which ours sees the different ones
ALONE = 6 if FAST else 24  # inputs that the one-by-one path is timed on


def write_weights(folder: Path) -> None:
    """Random weights of the true architectures, and their hashes pinned for this process."""
    from torchvision.models import vgg16
    from transformers import BertTokenizerFast, DistilBertConfig, DistilBertModel

    text = folder / pretrained.DISTILBERT
    text.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(5000))]
    (text / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(str(text / "vocab.txt")).save_pretrained(text)
    DistilBertModel(DistilBertConfig()).save_pretrained(text)
    torch.save(vgg16(weights=None).state_dict(), folder / pretrained.VGG16)
    pretrained.ENCODERS = paper_encoders.ENCODERS = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in pretrained.ENCODERS
    }


def text_encoding(folder: Path, precision: str) -> None:
    rng = np.random.default_rng(0)
    unique = texts(int(UNIQUE * COUNT), rng)
    lines = [unique[i] for i in repetitions(COUNT, len(unique), rng)]
    ours = DistilBert(folder, "distilbert", precision)
    plain = DistilBert(folder, "distilbert", "float32")
    some = [lines[i] for i in rng.choice(COUNT, ALONE, replace=False)]

    @torch.inference_mode()
    def alone():
        rows = []
        for line in some:
            states = plain.model(**_inputs(plain, line)).last_hidden_state[0, 1:-1]
            rows.append(F.normalize(states.mean(dim=0), dim=0).numpy())
        return np.stack(rows)

    batched = ours.encode(some)
    assert ((alone() * batched).sum(axis=1) > (0.99999 if precision == "float32" else 0.999)).all()
    sample = sorted(set(lines))[::4]
    seconds = interleaved({"alone": alone, "ours": lambda: ours.encode(sample)}, rounds=2)
    before, now = seconds["alone"] / ALONE, seconds["ours"] / len(sample) * len(unique) / COUNT
    linear = sum(
        p.numel() for n, p in plain.model.named_parameters() if "lin" in n and p.dim() == 2
    )
    words = sum(len(line.split()) + 2 for line in sample) / len(sample)
    floor = 2 * linear * words * len(unique) / COUNT / peak(precision)
    print(f"\nDistilBERT, {precision}: alone {before * 1e3:.1f} ms, ours {now * 1e3:.2f} ms a text")
    limit = f"limit here {before / floor:.1f}x: products alone, unpadded"
    say(f"one text at a time / ours, {UNIQUE:.0%} unique", before / now, 12, limit)


def _inputs(encoder: DistilBert, line: str) -> dict:
    given = encoder.tokenizer(line, return_tensors="pt")
    return {name: given[name] for name in ("input_ids", "attention_mask")}


def image_encoding(folder: Path, precision: str, count: int = 8) -> None:
    rng = np.random.default_rng(0)
    pictures = {}
    for i in range(count):
        path = folder / f"{i}.jpg"
        noise = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8))
        noise.resize((640, 480)).save(path)
        pictures[i] = Picture(i, path, 640, 480)
    data = ReferData("unc+", pictures, (), {}, {})
    ours, plain = Vgg16(folder, "vgg16", precision), Vgg16(folder, "vgg16", "float32")
    plain.model = plain.model.to(memory_format=torch.contiguous_format)

    @torch.inference_mode()
    def alone():
        rows = [plain.model(plain._pixels(open_image(data, i))[None])[0] for i in range(count)]
        return F.normalize(torch.stack(rows), dim=1).numpy()

    ids = np.arange(count)
    assert ((alone() * ours.encode(data, ids)).sum(axis=1) > 0.99).all()
    seconds = interleaved({"alone": alone, "ours": lambda: ours.encode(data, ids)}, rounds=2)
    before, now = seconds["alone"] / count, seconds["ours"] / count
    floor = 31e9 / peak(precision)  # operations of one image
    print(f"\nVGG16, {precision}: alone {before * 1e3:.0f} ms, ours {now * 1e3:.0f} ms an image")
    limit = f"limit here {before / floor:.1f}x: products alone"
    say("one image at a time in float32 / ours", before / now, 2.2, limit)


def main() -> None:
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    precision, small = precision_of("cpu"), (64, 768, 4096)
    factor = peak("bfloat16", small) / peak("float32", small)
    print(
        f"Encoders compute in {precision} here. The targets take bfloat16 at twice the rate of "
        f"float32 for granted; here it is {factor:.2f} of it."
    )
    with tempfile.TemporaryDirectory() as folder:
        write_weights(Path(folder))
        text_encoding(Path(folder), precision)
        image_encoding(Path(folder), precision)


if __name__ == "__main__":
    main()
