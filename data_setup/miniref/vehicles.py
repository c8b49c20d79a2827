"""Cars, buses, trucks, bicycles and boats, each painted into the unit box of its thing."""

from data_setup.miniref.brush import DARK, Brush, Colour, Looks, shade

GLASS, METAL = (168, 206, 226), (178, 182, 188)


def _wheel(b: Brush, x: float, y: float, r: float) -> None:
    """r counts in heights of the box."""
    rx = r * b.h / b.w
    b.ellipse(x - rx, y - r, x + rx, y + r, DARK)
    b.ellipse(x - rx * 0.5, y - r * 0.5, x + rx * 0.5, y + r * 0.5, METAL)


def car(b: Brush, body: Colour, looks: Looks) -> None:
    b.polygon([(0.20, 0.46), (0.32, 0.06), (0.68, 0.06), (0.84, 0.46)], shade(body, 0.92))
    b.polygon([(0.25, 0.44), (0.34, 0.14), (0.48, 0.14), (0.48, 0.44)], GLASS)
    b.polygon([(0.52, 0.44), (0.52, 0.14), (0.66, 0.14), (0.78, 0.44)], shade(GLASS, 0.9))
    b.rect(0.01, 0.42, 0.99, 0.82, body, 0.06)
    b.rect(0.02, 0.68, 0.98, 0.82, shade(body, 0.72), 0.03)
    b.ellipse(0.0, 0.48, 0.06, 0.62, (255, 244, 180))
    b.ellipse(0.94, 0.48, 1.0, 0.62, (214, 50, 40))
    b.line([(0.50, 0.46), (0.50, 0.76)], shade(body, 0.6), 0.008)
    for x in (0.22, 0.78):
        _wheel(b, x, 0.81, 0.185)


def bus(b: Brush, body: Colour, looks: Looks) -> None:
    b.rect(0.01, 0.03, 0.99, 0.88, body, 0.04)
    b.rect(0.01, 0.60, 0.99, 0.70, shade(body, 1.5))
    for k in range(5):
        b.rect(0.05 + 0.155 * k, 0.14, 0.18 + 0.155 * k, 0.46, GLASS, 0.01)
    b.rect(0.84, 0.14, 0.95, 0.80, shade(GLASS, 0.85), 0.01)
    b.rect(0.01, 0.80, 0.99, 0.88, shade(body, 0.6), 0.02)
    for x in (0.20, 0.74):
        _wheel(b, x, 0.87, 0.125)


def truck(b: Brush, body: Colour, looks: Looks) -> None:
    b.rect(0.30, 0.02, 1.0, 0.76, (226, 226, 222), 0.02)
    for k in range(1, 6):
        b.line([(0.30 + 0.115 * k, 0.05), (0.30 + 0.115 * k, 0.73)], (196, 196, 194), 0.006)
    b.rect(0.0, 0.24, 0.29, 0.84, body, 0.05)
    b.polygon([(0.03, 0.50), (0.07, 0.30), (0.22, 0.30), (0.22, 0.50)], GLASS)
    b.rect(0.0, 0.74, 1.0, 0.84, shade(body, 0.5))
    for x in (0.15, 0.66, 0.84):
        _wheel(b, x, 0.86, 0.135)


def bicycle(b: Brush, frame: Colour, looks: Looks) -> None:
    r = 0.34
    rx = r * b.h / b.w
    for x in (0.23, 0.77):
        b.arc(x - rx, 0.98 - 2 * r, x + rx, 0.98, 0, 360, DARK, 0.035)
        b.ellipse(x - 0.03, 0.61, x + 0.03, 0.67, METAL)
    hub, front, crank = (0.23, 0.64), (0.77, 0.64), (0.47, 0.68)
    seat, head = (0.36, 0.26), (0.68, 0.26)
    for path in ([hub, seat, crank, hub], [seat, head, crank], [head, front]):
        b.line(path, frame, 0.035)
    b.line([head, (0.66, 0.10), (0.76, 0.07)], DARK, 0.03)
    b.rect(0.27, 0.18, 0.44, 0.26, DARK, 0.03)


def boat(b: Brush, hull: Colour, looks: Looks) -> None:
    b.line([(0.48, 0.02), (0.48, 0.76)], (110, 76, 50), 0.02)
    b.polygon([(0.50, 0.03), (0.50, 0.66), (0.92, 0.66)], (246, 244, 236), looks.get("pattern"))
    b.polygon([(0.46, 0.12), (0.46, 0.66), (0.16, 0.66)], shade(hull, 1.4))
    b.polygon([(0.02, 0.72), (0.98, 0.72), (0.84, 0.98), (0.16, 0.98)], hull)
    b.polygon([(0.02, 0.72), (0.98, 0.72), (0.96, 0.77), (0.04, 0.77)], shade(hull, 1.45))
