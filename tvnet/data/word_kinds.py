"""What a word does in a referring expression, by closed lists: LSCM's tree is made of it (D81)."""

from collections.abc import Iterable

NOUN, SIDE_WORD, RELATION = range(3)

# Words that hang on a noun: fillers, places, sizes, colours, patterns.
SIDE_WORDS = frozenset(
    """a an the this that those these his her its their one ones is are be being who which there
    left right leftmost rightmost top bottom middle center centre upper lower far farthest near
    nearest closest front back foreground background side first second third last 2nd 3rd half
    big bigger biggest large larger largest small smaller smallest little tall tallest short tiny
    red orange yellow green blue purple pink brown black white grey gray dark light bright colored
    striped dotted plain spotted old young all any entire whole part very most more only both
    open closed empty full""".split()
)
# Words that join what stands before them to what stands behind.
RELATIONS = frozenset(
    """on in at of by to from with without and under above below over beneath behind beside
    between near next against around inside outside along across toward towards into onto off and
    holding wearing carrying riding sitting standing walking lying looking facing eating touching
    waving running flying dressed held hidden belonging""".split()
)


def word_kinds(words: Iterable[str]) -> list[int]:
    """One of NOUN, SIDE_WORD, RELATION for each word; what no list holds is a noun."""
    return [
        RELATION if word in RELATIONS else SIDE_WORD if word in SIDE_WORDS else NOUN
        for word in words
    ]
