"""People and animals. Each function paints into the unit box of its thing, in its colour."""

from data_setup.miniref.brush import Brush, Colour, Looks, shade

SKINS = ((244, 205, 172), (222, 171, 130), (176, 118, 78), (112, 72, 46))
DARK = (34, 30, 32)


def person(b: Brush, top: Colour, looks: Looks) -> None:
    pose, who = looks.get("pose", "standing"), looks.get("looks", "man")
    skin, hair = looks["skin"], b.jitter(looks.get("hair", "brown"))
    legs, pattern = b.jitter(looks.get("trousers", "blue")), looks.get("pattern")
    female, child = who in ("woman", "girl"), who in ("boy", "girl")
    head = 0.105 if child else 0.082  # radius, in heights of the box
    rx = head * b.h / b.w
    waist = 0.62 if pose == "sitting" else 0.56
    neck = 2 * head
    if pose == "sitting":
        b.line([(0.40, waist), (0.22, 0.74), (0.26, 0.97)], legs, 0.2)
        b.line([(0.60, waist), (0.74, 0.74), (0.72, 0.97)], shade(legs, 0.85), 0.2)
        shoes = ((0.24, 0.97), (0.74, 0.97))
    else:
        step = 0.19 if pose == "walking" else 0.09
        b.line([(0.43, waist - 0.04), (0.5 - step, 0.78), (0.5 - 1.15 * step, 0.965)], legs, 0.2)
        right = [(0.57, waist - 0.04), (0.5 + step, 0.78), (0.5 + 1.3 * step, 0.965)]
        b.line(right, shade(legs, 0.85), 0.2)
        shoes = ((0.5 - 1.25 * step, 0.975), (0.5 + 1.4 * step, 0.975))
    for x, y in shoes:
        b.ellipse(x - 0.13, y - 0.022, x + 0.12, y + 0.025, DARK)
    if female and hair:  # long hair falls behind the shoulders
        b.ellipse(0.5 - 1.35 * rx, 0.01, 0.5 + 1.35 * rx, neck + 0.10, hair)
    arm = shade(top, 0.88)
    b.line([(0.27, neck + 0.07), (0.13, 0.40), (0.12, 0.53)], arm, 0.13)
    b.ellipse(0.05, 0.52, 0.19, 0.575, skin)
    if pose == "waving":
        b.line([(0.72, neck + 0.07), (0.90, 0.17), (0.86, 0.07)], arm, 0.13)
        b.ellipse(0.79, 0.02, 0.93, 0.08, skin)
    else:
        b.line([(0.73, neck + 0.07), (0.87, 0.40), (0.88, 0.53)], arm, 0.13)
        b.ellipse(0.81, 0.52, 0.95, 0.575, skin)
    hem = waist + (0.10 if female else 0.01)
    flare = 0.10 if female else 0.0
    b.polygon([(0.27, neck + 0.03), (0.73, neck + 0.03), (0.77, neck + 0.10), (0.70 + flare, hem),
               (0.30 - flare, hem), (0.23, neck + 0.10)], top, pattern)  # fmt: skip
    b.rect(0.43, neck - 0.03, 0.57, neck + 0.045, shade(skin, 0.88), 0.04)
    b.ellipse(0.5 - rx, 0.015, 0.5 + rx, 0.015 + 2 * head, skin)
    b.pie(0.5 - 1.08 * rx, 0.0, 0.5 + 1.08 * rx, 1.9 * head, 180, 360, hair)
    if female:
        b.ellipse(0.5 - 1.15 * rx, 0.02, 0.5 - 0.62 * rx, 2.3 * head, hair)
        b.ellipse(0.5 + 0.62 * rx, 0.02, 0.5 + 1.15 * rx, 2.3 * head, hair)
    eye = 0.015 + 1.15 * head
    for x in (0.5 - 0.4 * rx, 0.5 + 0.4 * rx):
        b.ellipse(x - 0.022, eye - 0.006, x + 0.022, eye + 0.008, DARK)
    mouth = (0.5 - 0.4 * rx, eye + 0.01, 0.5 + 0.4 * rx, eye + 0.5 * head)
    b.arc(*mouth, 20, 160, (170, 70, 70), 0.02)
    if "hat" in looks:
        hat = b.jitter(looks["hat"])
        b.pie(0.5 - 1.1 * rx, 0.0, 0.5 + 1.1 * rx, 1.7 * head, 180, 360, hat)
        b.rect(0.5 - 1.7 * rx, 0.72 * head, 0.5 + 1.7 * rx, 1.0 * head, shade(hat, 0.75), 0.02)


def _four_legs(b: Brush, xs: tuple[float, ...], top: float, ink, width: float) -> None:
    for k, x in enumerate(xs):
        foot, tone = (x + 0.01, 0.7) if k % 2 else (x - 0.01, 0.92)
        b.line([(x, top), (foot, 0.97)], shade(ink, tone), width)


def dog(b: Brush, coat: Colour, looks: Looks) -> None:
    spots = looks.get("pattern")
    b.line([(0.86, 0.42), (0.95, 0.28), (0.97, 0.12)], coat, 0.055)
    if looks.get("pose") == "sitting":
        b.ellipse(0.42, 0.40, 0.93, 1.0, coat, spots)
        b.line([(0.40, 0.6), (0.38, 0.97)], shade(coat, 0.85), 0.09)
        b.line([(0.50, 0.6), (0.49, 0.97)], coat, 0.09)
        b.polygon([(0.28, 0.35), (0.48, 0.25), (0.66, 0.6), (0.40, 0.8)], coat)
    else:
        _four_legs(b, (0.36, 0.44, 0.76, 0.84), 0.55, coat, 0.08)
        b.rect(0.28, 0.36, 0.90, 0.70, coat, 0.14, spots)
        b.polygon([(0.22, 0.3), (0.42, 0.22), (0.50, 0.55), (0.32, 0.62)], coat)
    b.ellipse(0.13, 0.06, 0.42, 0.46, coat)
    b.rect(0.01, 0.24, 0.26, 0.42, shade(coat, 1.12), 0.06)
    b.ellipse(0.0, 0.23, 0.07, 0.33, DARK)
    b.polygon([(0.30, 0.07), (0.43, 0.10), (0.44, 0.42), (0.34, 0.34)], shade(coat, 0.6))
    b.ellipse(0.21, 0.17, 0.26, 0.25, DARK)


def cat(b: Brush, coat: Colour, looks: Looks) -> None:
    stripes, pose = looks.get("pattern"), looks.get("pose", "standing")
    if pose == "sitting":
        b.line([(0.70, 0.9), (0.93, 0.88), (0.95, 0.60)], shade(coat, 0.85), 0.07)
        b.ellipse(0.30, 0.34, 0.80, 1.0, coat, stripes)
        x, y = 0.34, 0.0
    elif pose == "lying":
        b.line([(0.85, 0.85), (0.98, 0.70), (0.90, 0.45)], shade(coat, 0.85), 0.06)
        b.ellipse(0.22, 0.38, 0.95, 1.0, coat, stripes)
        x, y = 0.05, 0.20
    else:
        b.line([(0.84, 0.45), (0.94, 0.25), (0.90, 0.03)], shade(coat, 0.85), 0.06)
        _four_legs(b, (0.36, 0.44, 0.74, 0.82), 0.6, coat, 0.07)
        b.rect(0.28, 0.36, 0.87, 0.72, coat, 0.16, stripes)
        x, y = 0.04, 0.08
    b.polygon([(x + 0.02, y + 0.22), (x + 0.05, y), (x + 0.17, y + 0.12)], coat)
    b.polygon([(x + 0.33, y + 0.22), (x + 0.31, y), (x + 0.19, y + 0.12)], coat)
    b.ellipse(x, y + 0.08, x + 0.36, y + 0.50, coat)
    for dx in (0.08, 0.22):
        b.ellipse(x + dx, y + 0.22, x + dx + 0.07, y + 0.32, (196, 208, 70))
        b.ellipse(x + dx + 0.022, y + 0.22, x + dx + 0.05, y + 0.32, DARK)
    b.polygon([(x + 0.15, y + 0.35), (x + 0.22, y + 0.35), (x + 0.185, y + 0.40)], (220, 130, 140))


def horse(b: Brush, coat: Colour, looks: Looks) -> None:
    mane = shade(coat, 0.45)
    b.line([(0.92, 0.40), (0.98, 0.55), (0.96, 0.78)], mane, 0.05)
    _four_legs(b, (0.34, 0.43, 0.78, 0.87), 0.55, coat, 0.06)
    b.ellipse(0.27, 0.32, 0.94, 0.70, coat, looks.get("pattern"))
    b.polygon([(0.28, 0.58), (0.16, 0.16), (0.28, 0.04), (0.50, 0.42)], coat)
    b.polygon([(0.26, 0.03), (0.34, 0.10), (0.52, 0.42), (0.40, 0.40)], mane)
    b.polygon([(0.28, 0.04), (0.14, 0.08), (0.00, 0.30), (0.08, 0.36), (0.24, 0.24)], coat)
    b.ellipse(0.0, 0.26, 0.09, 0.37, shade(coat, 0.75))
    b.polygon([(0.22, 0.06), (0.25, -0.02), (0.30, 0.06)], coat)
    b.ellipse(0.155, 0.11, 0.185, 0.15, DARK)


def cow(b: Brush, coat: Colour, looks: Looks) -> None:
    b.line([(0.95, 0.25), (0.99, 0.55)], shade(coat, 0.8), 0.025)
    _four_legs(b, (0.33, 0.42, 0.80, 0.89), 0.6, coat, 0.065)
    b.rect(0.24, 0.16, 0.97, 0.74, coat, 0.12, looks.get("pattern"))
    b.ellipse(0.62, 0.66, 0.78, 0.84, (236, 170, 170))
    b.rect(0.03, 0.10, 0.27, 0.52, coat, 0.08)
    b.ellipse(0.01, 0.38, 0.24, 0.62, (226, 178, 168))
    for x in (0.06, 0.14):
        b.ellipse(x, 0.47, x + 0.035, 0.53, (120, 70, 70))
    b.arc(0.02, -0.06, 0.14, 0.20, 90, 190, (226, 214, 186), 0.025)
    b.arc(0.18, -0.06, 0.30, 0.20, 350, 90, (226, 214, 186), 0.025)
    b.ellipse(0.25, 0.13, 0.36, 0.25, shade(coat, 0.75))
    b.ellipse(0.08, 0.22, 0.115, 0.29, DARK)
    b.ellipse(0.17, 0.22, 0.205, 0.29, DARK)


def sheep(b: Brush, wool: Colour, looks: Looks) -> None:
    face = DARK if looks["colour"] == "white" else shade(wool, 1.35)
    _four_legs(b, (0.36, 0.46, 0.70, 0.80), 0.7, (60, 54, 52), 0.055)
    for x in (0.24, 0.38, 0.52, 0.66):
        for y in (0.10, 0.24, 0.40):
            dx, dy = b.rng.normal(0, 0.015, 2)
            curl = shade(wool, 0.9 + 0.12 * (y < 0.3))
            b.ellipse(x + dx, y + dy, x + 0.28 + dx, y + 0.36 + dy, curl)
    b.ellipse(0.05, 0.20, 0.31, 0.58, face)
    b.ellipse(0.27, 0.24, 0.40, 0.36, shade(face, 0.8))
    b.ellipse(0.12, 0.32, 0.155, 0.38, (235, 235, 230) if face == DARK else DARK)


def bird(b: Brush, coat: Colour, looks: Looks) -> None:
    b.polygon([(0.70, 0.55), (1.0, 0.36), (0.98, 0.62)], shade(coat, 0.7))
    for x in (0.44, 0.54):
        b.line([(x, 0.75), (x, 0.98)], (220, 150, 40), 0.03)
    b.ellipse(0.20, 0.28, 0.84, 0.84, coat)
    b.ellipse(0.10, 0.06, 0.44, 0.52, coat)
    b.polygon([(0.12, 0.22), (0.0, 0.32), (0.13, 0.36)], (240, 160, 40))
    b.ellipse(0.36, 0.36, 0.78, 0.66, shade(coat, 0.65))
    b.ellipse(0.18, 0.17, 0.25, 0.27, (250, 250, 250))
    b.ellipse(0.195, 0.195, 0.235, 0.255, DARK)
    b.ellipse(0.26, 0.56, 0.56, 0.80, shade(coat, 1.35))
