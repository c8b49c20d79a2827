"""Referents out of a pickle that nobody trusts: the only place in the project that reads pickles.

`referents` starts this file as a separate process: isolated, without an environment, with limits
on memory and time. There, an unpickler that knows no global builds lists, dicts, texts and numbers,
a schema of fixed depth is checked, and plain JSON comes back.
"""

import io
import json
import pickle
import re
import subprocess
import sys

MEMORY = 2 << 30  # bytes
SECONDS = 120  # of processor time
MOST_TEXT = 10_000  # characters of one sentence
MOST_TEXTS = 20_000_000  # bytes of all sentences: one text may be referred to many times
SPLIT = re.compile(r"[A-Za-z0-9][\w+-]{0,38}", re.ASCII)
MOST_PROBLEMS = 1000
IDS = ("ref_id", "ann_id", "image_id", "category_id")


def referents(content: bytes, memory: int = MEMORY, seconds: int = SECONDS) -> dict:
    """{"refs": [[ref_id, ann_id, image_id, category_id, split, [[sent_id, sent], ...]], ...],
    "problems": [[id, reason], ...]} of the content of a `refs(*).p`.

    Raises ValueError with the reason when the pickle is damaged or hostile.
    """
    command = [sys.executable, "-I", "-S", __file__, str(memory), str(seconds)]
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, env={}, cwd="/", timeout=3 * seconds
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"it took more than {3 * seconds} seconds") from None
    if done.returncode == 0:
        return json.loads(done.stdout)
    listed = done.stderr.decode("utf-8", "replace").strip().splitlines()
    if done.returncode == 3 and listed:
        raise ValueError(listed[-1])
    raise ValueError(f"it went beyond {memory >> 20} MiB of memory or {seconds} seconds")


class Plain(pickle.Unpickler):
    """Builds lists, dicts, texts and numbers and nothing else: no file can run code here."""

    def find_class(self, module: str, name: str) -> None:
        raise pickle.UnpicklingError(f"it names {(module + '.' + name)[:99]!r}")

    def persistent_load(self, pid: object) -> None:
        raise pickle.UnpicklingError("it names an object outside the file")


def limit(memory: int, seconds: int) -> None:
    """Let this process take so many bytes, so many seconds of processor time, and write no file."""
    try:
        import resource
    except ImportError:  # Windows has none; the unpickler itself still knows no global
        return
    for what, most in (("AS", memory), ("CPU", seconds), ("CORE", 0), ("FSIZE", 0)):
        kind = getattr(resource, f"RLIMIT_{what}")
        _, hard = resource.getrlimit(kind)  # nobody may go above it
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))


def checked(found: object) -> dict:
    """What `referents` returns, of what was in the pickle. Lists every entry that does not fit."""
    if not isinstance(found, list):
        raise pickle.UnpicklingError("it is not a list")
    refs, problems, seen, sentences_seen, length = [], [], set(), set(), 0
    for number, entry in enumerate(found):
        try:
            ref = _referent(entry)
            _refuse(ref[0] in seen, "stands twice")
            for sentence, _ in ref[5]:
                _refuse(sentence in sentences_seen, f"its sentence {sentence} stands twice")
        except ValueError as error:
            ref_id = entry.get("ref_id") if isinstance(entry, dict) else None
            problems.append([ref_id if _whole(ref_id) else f"entry {number}", str(error)])
            if len(problems) >= MOST_PROBLEMS:
                break
            continue
        length += sum(len(text.encode()) for _, text in ref[5])
        if length > MOST_TEXTS:
            raise pickle.UnpicklingError(f"its sentences have more than {MOST_TEXTS} bytes")
        seen.add(ref[0])
        sentences_seen.update(sentence for sentence, _ in ref[5])
        refs.append(ref)
    return {"refs": refs, "problems": problems}


def _referent(entry: object) -> list:
    """The row of an entry. Raises ValueError that says what is wrong with it."""
    _refuse(not isinstance(entry, dict), "is no dict")
    for key in IDS:
        _refuse(not _whole(entry.get(key)), f"has no usable '{key}'")
    split, sentences = entry.get("split"), entry.get("sentences")
    usable = isinstance(split, str) and SPLIT.fullmatch(split)
    _refuse(not usable, f"has no usable 'split' ({split!r:.60})")
    usable = isinstance(sentences, list) and 0 < len(sentences) < 1000
    _refuse(not usable, "has no usable 'sentences'")
    found: dict[int, str] = {}
    for sentence in sentences:
        about = sentence if isinstance(sentence, dict) else {}
        number, text = about.get("sent_id"), about.get("sent")
        _refuse(not _whole(number), "has no usable 'sent_id'")
        usable = isinstance(text, str) and len(text) <= MOST_TEXT
        _refuse(not usable, f"has no usable 'sent' in its sentence {number}")
        _refuse(number in found, f"its sentence {number} stands twice")
        found[number] = _mended(text)
    return [*(entry[key] for key in IDS), split, [list(pair) for pair in found.items()]]


def _refuse(wrong: object, reason: str) -> None:
    if wrong:
        raise ValueError(reason)


def _whole(value: object) -> bool:
    return type(value) is int and abs(value) < 1 << 62


def _mended(text: str) -> str:
    """Python 2 wrote bytes, which are opened as latin1: where they were utf-8, they become it."""
    try:
        return text.encode("latin1").decode("utf-8")
    except UnicodeError:
        return text.encode("utf-8", "replace").decode("utf-8")


def _child(memory: int, seconds: int) -> int:
    content = sys.stdin.buffer.read()
    limit(memory, seconds)
    try:
        result = checked(Plain(io.BytesIO(content), encoding="latin1").load())
        # not as \u escapes, which are three times as long
        text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
        sys.stdout.buffer.write(text.encode())
    except MemoryError:
        return 4
    except BaseException as error:  # a damaged pickle may raise nearly anything
        sys.stderr.write(f"{str(error)[:200] or type(error).__name__}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(_child(int(sys.argv[1]), int(sys.argv[2])))
