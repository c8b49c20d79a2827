"""Furniture, each piece painted into the unit box of its thing."""

from data_setup.miniref.brush import Brush, Colour, Looks, shade


def chair(b: Brush, paint: Colour, looks: Looks) -> None:
    for x in (0.14, 0.86):
        b.line([(x, 0.55), (x, 0.98)], shade(paint, 0.6), 0.07)
    for x in (0.28, 0.72):
        b.line([(x, 0.55), (x, 0.88)], shade(paint, 0.5), 0.06)
    b.rect(0.10, 0.02, 0.90, 0.46, paint, 0.10)
    b.rect(0.22, 0.09, 0.78, 0.40, shade(paint, 0.78), 0.06)
    b.polygon([(0.10, 0.50), (0.90, 0.50), (0.98, 0.64), (0.02, 0.64)], shade(paint, 1.12))
    b.rect(0.02, 0.62, 0.98, 0.69, shade(paint, 0.72))


def sofa(b: Brush, cloth: Colour, looks: Looks) -> None:
    for x in (0.10, 0.90):
        b.line([(x, 0.9), (x, 0.97)], (74, 50, 34), 0.03)
    b.rect(0.06, 0.04, 0.94, 0.66, shade(cloth, 0.86), 0.07, looks.get("pattern"))
    b.rect(0.10, 0.48, 0.90, 0.80, shade(cloth, 1.08), 0.03)
    b.line([(0.5, 0.50), (0.5, 0.78)], shade(cloth, 0.66), 0.008)
    b.rect(0.08, 0.74, 0.92, 0.93, shade(cloth, 0.78), 0.02)
    b.rect(0.0, 0.28, 0.15, 0.94, cloth, 0.06)
    b.rect(0.85, 0.28, 1.0, 0.94, cloth, 0.06)


def bench(b: Brush, wood: Colour, looks: Looks) -> None:
    for x in (0.10, 0.90):
        b.line([(x, 0.10), (x, 0.97)], (64, 62, 64), 0.03)
    for y in (0.06, 0.24, 0.50):
        b.rect(0.0, y, 1.0, y + 0.13, shade(wood, 0.9 + y / 3), 0.015)
    b.rect(0.0, 0.60, 1.0, 0.68, shade(wood, 0.68))


def table(b: Brush, wood: Colour, looks: Looks) -> None:
    for x in (0.08, 0.92):
        b.rect(x - 0.03, 0.6, x + 0.03, 1.0, shade(wood, 0.62))
    b.polygon([(0.08, 0.0), (0.92, 0.0), (1.0, 0.66), (0.0, 0.66)], wood)
    for x in (0.2, 0.4, 0.6, 0.8):  # the boards run away from us
        b.line([(0.08 + 0.84 * x, 0.0), (x, 0.66)], shade(wood, 0.88), 0.004)
    b.rect(0.0, 0.65, 1.0, 0.74, shade(wood, 0.72))


def shelf(b: Brush, wood: Colour, looks: Looks) -> None:
    b.rect(0.0, 0.0, 1.0, 1.0, shade(wood, 0.55))
    for y in (0.0, 0.30, 0.62, 0.94):
        b.rect(0.0, y, 1.0, min(1.0, y + 0.045), wood)
    for x in (0.0, 0.97):
        b.rect(x, 0.0, x + 0.03, 1.0, shade(wood, 0.9))


def lamp(b: Brush, cover: Colour, looks: Looks) -> None:
    b.line([(0.5, 0.40), (0.5, 0.92)], (90, 84, 80), 0.07)
    b.ellipse(0.22, 0.90, 0.78, 1.0, (74, 68, 66))
    glow = shade(cover, 1.55) if looks.get("state") == "lit" else cover
    b.polygon([(0.28, 0.02), (0.72, 0.02), (1.0, 0.46), (0.0, 0.46)], glow)
    b.polygon([(0.03, 0.41), (0.97, 0.41), (1.0, 0.46), (0.0, 0.46)], shade(cover, 0.75))
