"""Draw the architecture in the manner of Figure 2, once per notebook with that notebook's box lit.

    python notebooks/architecture.py

writes notebooks/figures/architecture-NN.svg. A test holds the files equal to what this draws.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

FIGURES = Path(__file__).resolve().parent / "figures"
WIDTH, HEIGHT = 1008, 430
FRAME = "One forward pass"  # the title of the box around the others

# notebook: (x, y, width, height, title, lines)
BOXES = {
    "00": (8, 8, 992, 352, "", []),  # the frame around one forward pass
    "01": (24, 84, 130, 160, "The data", ["input image", "", "“left bear”"]),
    "02": (
        208,
        84,
        174,
        160,
        "Words and pixels",
        ["ResNet → V2 … V5", "", "LSTM → s"],
    ),
    "03": (
        24,
        284,
        358,
        58,
        "Retrieval",
        ["from the pool: 20 by text, of them 1 by image"],
    ),
    "04": (454, 84, 146, 94, "Enrichment", ["RES: A, gate", "→ V′3 V′4 V′5"]),
    "05": (
        644,
        84,
        146,
        160,
        "Fusion",
        ["s ⊙ V′ → M raw", "exchange → M′ raw", "ConvLSTM → M fine"],
    ),
    "06": (848, 84, 140, 74, "AMF", ["C HR, A2 → M′ fine"]),
    "07": (24, 376, 126, 42, "Training", []),
    "08": (162, 376, 126, 42, "Evaluation", []),
    "09": (300, 376, 126, 42, "Table 1", []),
    "10": (438, 376, 126, 42, "Explorer", []),
    "11": (576, 376, 126, 42, "The paper", []),
    "12": (714, 376, 126, 42, "Table 2", []),
    "13": (852, 376, 126, 42, "Own data", []),
}
# Each arrow: the points it passes, its label and where the label stands.
ARROWS = [
    ([(154, 128), (208, 128)], "image", (160, 120)),
    ([(154, 168), (208, 168)], "words", (160, 160)),
    ([(89, 244), (89, 284)], "query", (96, 268)),
    ([(289, 284), (289, 244)], "similar image", (296, 268)),
    ([(382, 120), (454, 120)], "V in, V sim", (388, 112)),
    ([(600, 120), (644, 120)], "V′", (614, 112)),
    ([(382, 210), (644, 210)], "s", (505, 202)),
    ([(790, 120), (848, 120)], "M fine", (800, 112)),
    (
        [(289, 84), (289, 50), (919, 50), (919, 84)],
        "V2, at twice the resolution",
        (530, 42),
    ),
    ([(919, 158), (919, 184)], "", (0, 0)),
]
MASK = (875, 184, 88, 60)  # the answer: a small picture with a mask in it
PLAIN, LIT = (
    ("#f4f4f4", "#777777", 1.2),
    ("#fbe3c5", "#d55e00", 3),
)  # fill, line, line width


def text(x: float, y: float, words: str, size: int = 13, **style: str) -> str:
    extra = "".join(
        f' {key.replace("_", "-")}="{value}"' for key, value in style.items()
    )
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}"{extra}>{escape(words)}</text>'


def box(notebook: str, lit: bool) -> list[str]:
    x, y, w, h, title, lines = BOXES[notebook]
    fill, line, width = LIT if lit else PLAIN
    if not title:  # the frame
        fill = "#fff8ef" if lit else "#ffffff"
    drawn = [
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8" fill="{fill}" stroke="{line}" '
        f'stroke-width="{width}"/>'
    ]
    head = y + 24 if lines else y + h / 2 + 5
    weight = "bold" if lit else "600"
    if title:
        drawn.append(
            text(x + 10, head, f"{notebook} {title}", 13, font_weight=weight)
        )
    else:
        drawn.append(
            text(x + 16, y + 24, f"00 {FRAME}", 13, font_weight=weight)
        )
    drawn += [
        text(x + 10, head + 24 + 20 * k, words, 12)
        for k, words in enumerate(lines)
        if words
    ]
    return drawn


def arrow(
    points: list[tuple[int, int]], label: str, at: tuple[int, int]
) -> list[str]:
    path = " ".join(f"{x},{y}" for x, y in points)
    line = (
        f'<polyline points="{path}" fill="none" stroke="#444444" stroke-width="1.5" '
        'marker-end="url(#tip)"/>'
    )
    return [line] + ([text(*at, label, 11, fill="#444444")] if label else [])


def mask() -> list[str]:
    x, y, w, h = MASK
    return [
        f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="4" fill="#555555"/>',
        f'<ellipse cx="{x + 24}" cy="{y + 31}" rx="17" ry="15" fill="#0072b2"/>',
        text(x + 46, y + 35, "mask", 12, fill="#ffffff"),
    ]


def alt(lit: str) -> str:
    """What the picture shows, for who cannot see it."""
    parts = ", ".join(title for *_, title, lines in BOXES.values() if lines)
    return (
        f"Diagram of TV-Net in the order of one forward pass: {parts}. "
        f"The box of this notebook is highlighted: {lit} {BOXES[lit][4] or FRAME}."
    )


def svg(lit: str) -> str:
    """The picture as SVG text, with the box of notebook `lit` ("00" ... "13") lit."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="Helvetica, Arial, sans-serif" role="img">',
        f"<title>{alt(lit)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#444444"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for notebook in BOXES:
        parts += box(notebook, notebook == lit)
    for points, label, at in ARROWS:
        parts += arrow(points, label, at)
    return "\n".join([*parts, *mask(), "</svg>"]) + "\n"


def main() -> None:
    for notebook in BOXES:
        (FIGURES / f"architecture-{notebook}.svg").write_text(svg(notebook))
    print(f"{len(BOXES)} pictures are in {FIGURES}.")


if __name__ == "__main__":
    main()
