"""Hostile pickles: none runs, none goes beyond its budget, every odd entry is told."""

import os
import pickle
import random
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import pytest

from data_setup.convert.unpickle import referents

ROOT = Path(__file__).resolve().parents[3]


class Runs:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


def short(text):
    return b"U" + bytes([len(text)]) + text.encode()


def laughs(depth, width):
    """A list of lists of lists, each the same object many times over."""
    return b"\x80\x02](" + b"K\x01" * width + b"e" + b"".join(
        b"q" + bytes([k]) + b"](" + (b"h" + bytes([k])) * width + b"e" for k in range(depth)
    ) + b"."  # fmt: skip


def a_ref(**fields):
    ref = {"ref_id": 1, "ann_id": 2, "image_id": 3, "category_id": 4, "split": "val",
           "sentences": [{"sent_id": 5, "sent": "left"}]}  # fmt: skip
    return ref | fields


def shared_text():
    text = "x" * 9_999
    return [a_ref(ref_id=k, sentences=[{"sent_id": 1000 * k + n, "sent": text} for n in range(900)])
            for k in range(20)]  # fmt: skip


def cyclic():
    found = [a_ref()]
    found[0]["sentences"] = found
    return found


TARGET = os.path.join(tempfile.gettempdir(), f"a-pickle-ran-{os.getpid()}")
CODE = {
    "os.system": pickle.dumps([Runs(os.system, f"touch {TARGET}")], 2),
    "eval": pickle.dumps([Runs(eval, "1/0")], 2),
    "exec 0": pickle.dumps([Runs(exec, f"open('{TARGET}','w')")], 0),
    "open 4": pickle.dumps([Runs(open, TARGET, "w")], 4),
    "getattr": pickle.dumps([Runs(getattr, [], "append")], 2),
    "global": f"cos\nsystem\n(S'touch {TARGET}'\ntR.".encode(),
    "posix": f"cposix\nsystem\n(S'touch {TARGET}'\ntR.".encode(),
    "inst": f"(S'touch {TARGET}'\nios\nsystem\n.".encode(),
    "obj": f"(cos\nsystem\nS'touch {TARGET}'\no.".encode(),
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "builtins 2": b"\x80\x02c__builtin__\neval\nU\x031+1\x85R.",
    "newobj": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "newobj_ex": b"\x80\x04ccollections\nOrderedDict\n)}\x92.",
    "extension 1": b"\x80\x02\x82\x01.",
    "extension 2": b"\x80\x02\x83\x01\x00.",
    "extension 4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "persistent id 0": b"Pevil\n.",
    "persistent id 2": b"\x80\x02U\x04evilQ.",
    "numpy": b"\x80\x02cnumpy\nload\nU\x01a\x85R.",
    "set": pickle.dumps({1, 2}, 2),
    "complex": pickle.dumps([1j], 2),
    "bytearray": pickle.dumps([bytearray(b"a")], 2),
    "buffer": b"\x80\x05\x97.",
    "build": b"\x80\x02]}U\x01aK\x01sb.",
    "unicode error": b"\x80\x02X\x01\x00\x00\x00\xff.",
}
MEMORY = {
    "memo index": b"\x80\x02]r\xff\xff\xff\x7f.",
    "memo index 0": b"(lp2147483647\n.",
    "long text": b"\x80\x02T\xff\xff\xff\x7f.",
    "long unicode": b"\x80\x02X\xff\xff\xff\xff.",
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b".",
    "long frame": b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b".",
    "long integer": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "many digits": b"I" + b"9" * 400_000 + b"\n.",
    "billion laughs": laughs(20, 60),
    "nested lists": b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "nested tuples": b"\x80\x02K\x01" + b"\x85" * 500_000 + b".",
    "marks": b"\x80\x02" + b"(" * 500_000 + b".",
    "shared text": pickle.dumps(shared_text(), 2),
    "cyclic": pickle.dumps(cyclic(), 2),
}  # fmt: skip
DAMAGED = {
    "empty": b"",
    "stop": b".",
    "html": b"<html>",
    "cut": pickle.dumps([a_ref()], 2)[:-9],
    "dict": pickle.dumps({"a": 1}),
    "text": pickle.dumps("refs"),
    "protocol 99": b"\x80\x63].",
}


def outcome(content):
    """What comes of a pickle: refused as a whole, or its entries."""
    start = time.perf_counter()
    try:
        found = referents(content, memory=512 << 20, seconds=5)
        assert not found["refs"], found
        return found["problems"]
    except ValueError as error:
        return str(error)
    finally:
        assert time.perf_counter() - start < 20


@pytest.mark.parametrize("case", CODE)
def test_no_pickle_runs_code(case, tmp_path):
    assert outcome(CODE[case]) or case == "build"
    assert not os.path.exists(TARGET)


@pytest.mark.parametrize("case", [*MEMORY, *DAMAGED])
def test_no_pickle_goes_beyond_its_budget(case):
    assert outcome((MEMORY | DAMAGED)[case])


def test_there_are_forty_hostile_pickles():
    assert len(CODE) + len(MEMORY) + len(DAMAGED) >= 40


def test_random_bytes_and_flipped_bits_end_in_a_sentence():
    rng = random.Random(0)
    good = pickle.dumps([a_ref(ref_id=k, sentences=[{"sent_id": k, "sent": "left"}])
                         for k in range(30)], 2)  # fmt: skip
    assert len(referents(good)["refs"]) == 30
    for _ in range(12):
        content = bytearray(good)
        for _ in range(3):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        try:
            found = referents(bytes(content), memory=512 << 20, seconds=5)
            assert set(found) == {"refs", "problems"}
        except ValueError as error:
            assert str(error)


def test_a_good_pickle_of_every_protocol_is_read():
    for protocol in range(5):
        found = referents(pickle.dumps([a_ref()], protocol))
        assert found == {"refs": [[1, 2, 3, 4, "val", [[5, "left"]]]], "problems": []}


def test_texts_of_python_2_are_mended():
    latin, utf8 = b"U\x04caf\xe9", b"U\x05caf\xc3\xa9"
    for text in (latin, utf8):
        content = pickle.dumps([a_ref(sentences=[{"sent_id": 5, "sent": "LEFT"}])], 2)
        content = content.replace(b"X\x04\x00\x00\x00LEFT", text)
        assert referents(content)["refs"][0][5] == [[5, "café"]]


WRONG = {
    "is no dict": [1],
    "has no usable 'ref_id'": [a_ref(ref_id="1")],
    "has no usable 'ann_id'": [a_ref(ann_id=True)],
    "has no usable 'image_id'": [a_ref(image_id=1.0)],
    "has no usable 'category_id'": [a_ref(category_id=2**70)],
    "has no usable 'split' (None)": [a_ref(split=None)],
    "has no usable 'split' ('../../x')": [a_ref(split="../../x")],
    "has no usable 'split' ('a\\x00b')": [a_ref(split="a\0b")],
    "has no usable 'sentences'": [a_ref(sentences=[])],
    "has no usable 'sent_id'": [a_ref(sentences=["left"])],
    "has no usable 'sent' in its sentence 5": [a_ref(sentences=[{"sent_id": 5, "sent": 3}])],
    "its sentence 5 stands twice": [a_ref(), a_ref(ref_id=2)],
    "stands twice": [a_ref(), a_ref(sentences=[{"sent_id": 6, "sent": ""}])],
}


def test_every_odd_entry_is_told_at_once():
    for reason, entries in WRONG.items():
        found = referents(pickle.dumps(entries, 2))
        assert [r for _, r in found["problems"]] == [reason]
    everything = [a_ref(ref_id=k, split=None) for k in range(7)]
    found = referents(pickle.dumps(everything, 2))
    assert [name for name, _ in found["problems"]] == list(range(7))


def test_a_shell_with_stricter_limits_reads_too():
    script = (
        "import pickle, resource; from data_setup.convert.unpickle import referents; "
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60)); print(referents(pickle.dumps([])))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout == "{'refs': [], 'problems': []}\n", ran.stderr


@pytest.mark.parametrize(("count", "words"), [(900, "its sentences have more than"), (90, "")])
def test_one_long_text_referred_to_many_times_does_not_fill_the_parent(count, words):
    """The child's limits do not bind the process that reads its answer."""
    text = "\N{GRINNING FACE}" * 10_000
    numbers = [range(k * count, (k + 1) * count) for k in range(5)]
    found = [
        a_ref(ref_id=k, sentences=[{"sent_id": n, "sent": text} for n in numbers[k]])
        for k in range(5)
    ]
    content = pickle.dumps(found, 2)
    assert len(content) < 150_000
    tracemalloc.start()
    try:
        output = outcome(content) if words else len(referents(content)["refs"])
        assert words in str(output)
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()


def test_what_a_pickle_says_does_not_reach_the_terminal_as_it_is():
    with pytest.raises(ValueError) as error:
        referents(b"cos\x1b[2J" + b"x" * 500_000 + b"\nsystem\n.")
    assert str(error.value).isprintable() and len(str(error.value)) < 200
