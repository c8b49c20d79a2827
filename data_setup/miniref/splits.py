"""Which referents of MiniRef go into which split, in the way of each benchmark.

A picture's split is a property of the picture: it follows from its number and from whom it refers
to, never from how many pictures there are. So a small world and a large one agree on every picture
that both have, and what was trained on one may be evaluated on the other.
"""

REFERIT_TURN = 10  # every tenth picture is one of ReferIt's; the others are COCO-like
REFERIT_TURNS = {1: "test", 4: "test", 7: "test", 2: "val"}  # of ten of them; the rest is train
UNC_TURNS = {2: "val", 11: "val", 18: "val"} | dict.fromkeys((4, 6, 13, 21), "test")  # of 25
# G-Ref (google): about 18 % of the images hold a val referent, and most of those train ones too
GREF_TURNS = {3, 8}  # of 11


def is_referit(number: int) -> bool:
    """Whether picture `number` is one of ReferIt's."""
    return number % REFERIT_TURN == 0


def referit_split(number: int) -> str:
    """The split of a ReferIt picture."""
    return REFERIT_TURNS.get(number // REFERIT_TURN % 10, "train")


def unc_split(number: int, referents: list[dict]) -> str:
    """The split of a picture in UNC and UNC+: testA where it refers to people, else testB."""
    split = UNC_TURNS.get(number % 25, "train")
    if split == "test":
        return "testA" if any(r["person"] for r in referents) else "testB"
    return split


def kept_in(split: str, referents: list[dict]) -> list[dict]:
    """The referents that a picture of this split keeps: people in testA."""
    return [r for r in referents if r["person"]] if split == "testA" else referents


def gref_splits(number: int, referents: list[dict]) -> list[str]:
    """The split of each G-Ref referent of a picture, by OBJECT: at most the first one is val."""
    val = number % 11 in GREF_TURNS
    return ["val" if val and k == 0 else "train" for k in range(len(referents))]
