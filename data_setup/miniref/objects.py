"""Small things and greenery, each painted into the unit box of its thing."""

from data_setup.miniref.brush import DARK, Brush, Colour, Looks, shade


def cup(b: Brush, clay: Colour, looks: Looks) -> None:
    b.arc(0.58, 0.24, 1.0, 0.74, 0, 360, shade(clay, 0.8), 0.09)
    b.polygon([(0.03, 0.12), (0.77, 0.12), (0.69, 0.97), (0.11, 0.97)], clay, looks.get("pattern"))
    b.ellipse(0.11, 0.90, 0.69, 1.0, clay)
    b.ellipse(0.03, 0.02, 0.77, 0.22, shade(clay, 1.25))
    b.ellipse(0.09, 0.05, 0.71, 0.20, (92, 58, 36))


def bottle(b: Brush, glass: Colour, looks: Looks) -> None:
    b.rect(0.34, 0.07, 0.66, 0.36, glass, 0.06)
    b.rect(0.30, 0.0, 0.70, 0.08, (206, 190, 150), 0.05)
    b.polygon([(0.34, 0.28), (0.66, 0.28), (1.0, 0.44), (0.0, 0.44)], glass)
    b.rect(0.0, 0.40, 1.0, 1.0, glass, 0.12)
    b.rect(0.0, 0.54, 1.0, 0.80, (240, 232, 210))
    b.rect(0.2, 0.62, 0.8, 0.70, shade(glass, 0.7))
    b.rect(0.10, 0.43, 0.22, 0.53, shade(glass, 1.6))


def bowl(b: Brush, clay: Colour, looks: Looks) -> None:
    b.pie(0.0, -0.75, 1.0, 0.97, 0, 180, clay, looks.get("pattern"))
    b.rect(0.32, 0.90, 0.68, 1.0, shade(clay, 0.7))
    b.ellipse(0.0, 0.0, 1.0, 0.26, shade(clay, 1.3))
    b.ellipse(0.05, 0.04, 0.95, 0.22, shade(clay, 0.6))


def vase(b: Brush, clay: Colour, looks: Looks) -> None:
    blooms = ((236, 90, 110), (250, 210, 80), (244, 244, 244), (180, 110, 210))
    for x, y in ((0.2, 0.14), (0.5, 0.06), (0.8, 0.16)):
        b.line([(0.5, 0.45), (x, y)], (64, 130, 60), 0.04)
        petal = blooms[int(b.rng.integers(4))]
        b.ellipse(x - 0.15, y - 0.07, x + 0.15, y + 0.10, petal)
        b.ellipse(x - 0.05, y - 0.01, x + 0.05, y + 0.04, (120, 80, 30))
    b.ellipse(0.08, 0.44, 0.92, 1.0, clay, looks.get("pattern"))
    b.rect(0.32, 0.36, 0.68, 0.54, clay)
    b.ellipse(0.28, 0.33, 0.72, 0.40, shade(clay, 0.7))
    b.ellipse(0.22, 0.55, 0.34, 0.75, shade(clay, 1.45))


def apple(b: Brush, skin: Colour, looks: Looks) -> None:
    b.line([(0.52, 0.22), (0.58, 0.02)], (90, 60, 34), 0.06)
    b.ellipse(0.58, 0.02, 0.86, 0.16, (70, 150, 60))
    b.ellipse(0.02, 0.16, 0.62, 0.98, skin)
    b.ellipse(0.38, 0.16, 0.98, 0.98, skin)
    b.ellipse(0.18, 0.28, 0.34, 0.48, shade(skin, 1.6))


def banana(b: Brush, skin: Colour, looks: Looks) -> None:
    for k, dy in enumerate((0.0, 0.16)):
        b.arc(0.02, -1.0 + dy, 0.98, 0.84 + dy, 15, 165, shade(skin, 1.0 - 0.12 * k), 0.17)
    b.line([(0.04, 0.10), (0.08, 0.32)], (100, 78, 40), 0.06)
    b.ellipse(0.90, 0.10, 0.99, 0.30, (84, 66, 36))


def cake(b: Brush, icing: Colour, looks: Looks) -> None:
    b.ellipse(0.0, 0.80, 1.0, 1.0, (234, 234, 236))
    b.rect(0.10, 0.36, 0.90, 0.92, (226, 186, 126), 0.03)
    b.rect(0.10, 0.60, 0.90, 0.68, icing)
    b.rect(0.10, 0.34, 0.90, 0.50, icing, 0.03)
    b.ellipse(0.10, 0.24, 0.90, 0.46, shade(icing, 1.2))
    for x in (0.3, 0.5, 0.7):
        b.line([(x, 0.12), (x, 0.34)], (244, 120, 130), 0.035)
        b.ellipse(x - 0.03, 0.0, x + 0.03, 0.13, (255, 196, 60))


def melon(b: Brush, rind: Colour, looks: Looks) -> None:
    b.ellipse(0.0, 0.02, 1.0, 1.0, rind)
    for x in (0.14, 0.30, 0.46):
        b.arc(x, 0.03, 1 - x, 0.99, 0, 360, shade(rind, 0.6), 0.045)
    b.ellipse(0.20, 0.14, 0.36, 0.34, shade(rind, 1.45))


def laptop(b: Brush, case: Colour, looks: Looks) -> None:
    if looks.get("state") == "closed":
        b.polygon([(0.08, 0.55), (0.92, 0.55), (1.0, 0.92), (0.0, 0.92)], case)
        b.rect(0.0, 0.90, 1.0, 1.0, shade(case, 0.65))
        b.ellipse(0.45, 0.68, 0.55, 0.78, shade(case, 1.5))
        return
    b.rect(0.10, 0.0, 0.90, 0.68, case, 0.03)
    b.rect(0.14, 0.05, 0.86, 0.62, (52, 110, 180))
    for k in range(3):
        b.rect(0.19, 0.12 + 0.16 * k, 0.19 + (0.5, 0.36, 0.44)[k], 0.19 + 0.16 * k, (222, 236, 250))
    b.polygon([(0.10, 0.70), (0.90, 0.70), (1.0, 0.96), (0.0, 0.96)], shade(case, 0.9))
    for k in range(3):
        y = 0.74 + 0.06 * k
        b.line([(0.14, y), (0.86, y)], shade(case, 0.5), 0.03)
    b.rect(0.0, 0.95, 1.0, 1.0, shade(case, 0.6))


def tv(b: Brush, _: None, looks: Looks) -> None:
    b.rect(0.0, 0.0, 1.0, 0.84, DARK, 0.02)
    scene = ((70, 140, 200), (190, 90, 80), (90, 160, 100))[int(b.rng.integers(3))]
    b.rect(0.04, 0.05, 0.96, 0.78, scene)
    b.pie(0.1, 0.42, 0.7, 1.14, 180, 360, shade(scene, 0.6))
    b.ellipse(0.70, 0.12, 0.84, 0.32, (250, 236, 160))
    b.polygon([(0.42, 0.84), (0.58, 0.84), (0.68, 1.0), (0.32, 1.0)], (60, 60, 64))


def phone(b: Brush, case: Colour, looks: Looks) -> None:
    b.rect(0.0, 0.0, 1.0, 1.0, case, 0.16)
    b.rect(0.09, 0.09, 0.91, 0.86, (120, 190, 220))
    for k in range(3):
        for m in range(3):
            ink = ((240, 90, 80), (250, 220, 90), (250, 250, 250))[(k + m) % 3]
            b.rect(0.18 + 0.24 * k, 0.18 + 0.2 * m, 0.34 + 0.24 * k, 0.30 + 0.2 * m, ink, 0.03)
    b.ellipse(0.42, 0.885, 0.58, 0.965, shade(case, 1.6))


def clock(b: Brush, rim: Colour, looks: Looks) -> None:
    b.ellipse(0.0, 0.0, 1.0, 1.0, rim)
    face = (214, 220, 226) if looks["colour"] == "white" else (250, 248, 240)
    b.ellipse(0.12, 0.12, 0.88, 0.88, face)
    for x, y in ((0.5, 0.18), (0.82, 0.5), (0.5, 0.82), (0.18, 0.5)):
        b.ellipse(x - 0.035, y - 0.035, x + 0.035, y + 0.035, DARK)
    b.line([(0.5, 0.5), (0.5, 0.24)], DARK, 0.06)
    b.line([(0.5, 0.5), (0.70, 0.58)], DARK, 0.06)


def umbrella(b: Brush, cloth: Colour, looks: Looks) -> None:
    b.line([(0.5, 0.05), (0.5, 0.94)], (84, 66, 54), 0.03)
    b.arc(0.5, 0.88, 0.6, 1.0, 0, 180, (84, 66, 54), 0.03)
    b.pie(0.0, 0.02, 1.0, 1.02, 180, 360, cloth, looks.get("pattern"))
    for x in (0.0, 0.25, 0.5, 0.75):
        b.ellipse(x, 0.46, x + 0.25, 0.58, shade(cloth, 0.6))
    for x in (0.25, 0.5, 0.75):
        b.line([(0.5, 0.04), (x, 0.50)], shade(cloth, 0.75), 0.008)


def bag(b: Brush, cloth: Colour, looks: Looks) -> None:
    b.arc(0.24, 0.0, 0.76, 0.62, 180, 360, shade(cloth, 0.6), 0.08)
    b.polygon([(0.06, 0.30), (0.94, 0.30), (1.0, 1.0), (0.0, 1.0)], cloth, looks.get("pattern"))
    b.rect(0.04, 0.28, 0.96, 0.46, shade(cloth, 0.78), 0.05)
    b.rect(0.44, 0.40, 0.56, 0.54, (226, 196, 110))


def book(b: Brush, cover: Colour, looks: Looks) -> None:
    if looks.get("state") == "open":
        spread = [(0.0, 0.20), (0.5, 0.36), (1.0, 0.20), (1.0, 0.92), (0.5, 1.0), (0.0, 0.92)]
        b.polygon(spread, cover)
        b.polygon([(0.04, 0.10), (0.5, 0.28), (0.5, 0.92), (0.04, 0.80)], (250, 246, 232))
        b.polygon([(0.96, 0.10), (0.5, 0.28), (0.5, 0.92), (0.96, 0.80)], (236, 230, 212))
        for k in range(4):
            y = 0.28 + 0.13 * k
            b.line([(0.10, y), (0.42, y + 0.10)], (150, 150, 150), 0.012)
            b.line([(0.58, y + 0.10), (0.90, y)], (150, 150, 150), 0.012)
        return
    b.polygon([(0.16, 0.0), (1.0, 0.0), (0.86, 0.62), (0.0, 0.62)], cover)
    b.polygon([(0.32, 0.14), (0.80, 0.14), (0.74, 0.34), (0.27, 0.34)], shade(cover, 1.5))
    b.polygon([(0.0, 0.62), (0.86, 0.62), (0.86, 0.96), (0.0, 0.96)], (244, 238, 220))
    b.rect(0.0, 0.92, 0.88, 1.0, shade(cover, 0.75))
    b.polygon([(0.86, 0.62), (1.0, 0.0), (1.0, 0.36), (0.88, 1.0)], shade(cover, 0.6))


def ball(b: Brush, skin: Colour, looks: Looks) -> None:
    b.ellipse(0.0, 0.0, 1.0, 1.0, skin, looks.get("pattern"))
    b.arc(0.28, -0.1, 1.3, 1.1, 100, 260, shade(skin, 0.55), 0.05)
    b.arc(-0.3, -0.1, 0.72, 1.1, 280, 80, shade(skin, 0.55), 0.05)
    b.ellipse(0.20, 0.14, 0.40, 0.32, shade(skin, 1.65))


def kite(b: Brush, cloth: Colour, looks: Looks) -> None:
    b.line([(0.5, 0.68), (0.60, 0.80), (0.44, 0.88), (0.52, 0.99)], (236, 236, 236), 0.03)
    b.polygon([(0.5, 0.0), (1.0, 0.28), (0.5, 0.74), (0.0, 0.28)], cloth, looks.get("pattern"))
    b.polygon([(0.5, 0.0), (1.0, 0.28), (0.5, 0.28)], shade(cloth, 1.4))
    b.polygon([(0.5, 0.28), (0.5, 0.74), (0.0, 0.28)], shade(cloth, 0.72))
    for y in (0.82, 0.92):
        b.ellipse(0.42, y - 0.03, 0.62, y + 0.03, (240, 90, 90))


def plant(b: Brush, _: None, looks: Looks) -> None:
    for _ in range(11):
        x, y = 0.5 + b.rng.uniform(-0.42, 0.42), b.rng.uniform(0.06, 0.42)
        green = shade((66, 140, 62), float(b.rng.uniform(0.65, 1.25)))
        b.line([(0.5, 0.66), (x, y)], shade(green, 0.7), 0.035)
        b.ellipse(x - 0.13, y - 0.07, x + 0.13, y + 0.11, green)
    b.polygon([(0.20, 0.64), (0.80, 0.64), (0.70, 1.0), (0.30, 1.0)], (190, 100, 62))
    b.rect(0.16, 0.60, 0.84, 0.70, (206, 116, 76), 0.02)


def tree(b: Brush, _: None, looks: Looks) -> None:
    b.polygon([(0.44, 0.5), (0.56, 0.5), (0.62, 1.0), (0.38, 1.0)], (104, 72, 46))
    base = ((52, 118, 54), (88, 140, 52), (40, 100, 70), (170, 120, 40))[int(b.rng.integers(4))]
    for k in range(16):
        x, y = 0.5 + b.rng.normal(0, 0.17), 0.32 + b.rng.normal(0, 0.12)
        r = float(b.rng.uniform(0.14, 0.22))
        lit = 0.72 + 0.5 * (1 - y / 0.6) * (k > 5) + 0.1 * (k > 10)
        top, bottom = max(0.0, y - r * 0.7), y + r * 0.7
        if bottom > top:  # else it lies above the box
            b.ellipse(x - r, top, x + r, bottom, shade(base, min(1.4, lit)))
