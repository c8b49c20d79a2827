"""What is written of all pairs at the end: scores.csv, masks.json and index.html."""

from __future__ import annotations

import csv
import io
from html import escape
from pathlib import Path

from tvnet.files import write_json, write_text

COLUMNS = ("image", "sentence", "mask", "score", "share", "neighbour", "remarks", "error")
COCO = ("image", "sentence", "score", "area", "bbox", "segmentation")
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: 1.2rem; }}
figure {{ margin: 0; }}
img {{ width: 100%; height: 14rem; object-fit: contain; background: #eee; }}
figcaption b {{ display: block; overflow-wrap: anywhere; }}
figcaption {{ overflow-wrap: anywhere; color: #333; }}
.error {{ border: 2px solid #d55e00; padding: 0.5rem; }}
</style>
<h1>{title}</h1>
<main>
{figures}
</main>
</html>
"""


def write_results(out: Path, records: list[dict]) -> None:
    """The three files, each whole or not there; records are those of `predict_many`."""
    lines = io.StringIO()
    table = csv.DictWriter(lines, COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for record in records:
        table.writerow(record | {"remarks": " ".join(record.get("remarks", ()))})
    write_text(out / "scores.csv", lines.getvalue())
    masks = [{key: record[key] for key in COCO} for record in records if "error" not in record]
    write_json(out / "masks.json", masks)
    failed = sum("error" in record for record in records)
    title = f"{len(records) - failed} masks" + (f", {failed} pairs left out" if failed else "")
    figures = "\n".join(map(_figure, records))
    write_text(out / "index.html", PAGE.format(title=title, figures=figures))


def _figure(record: dict) -> str:
    image, sentence = escape(record["image"]), escape(record["sentence"])
    if "error" in record:
        return (
            f'<figure class="error"><figcaption><b>{sentence}</b>{image}<br>'
            f"{escape(record['error'])}</figcaption></figure>"
        )
    about = f"{100 * record['share']:.1f} % of the picture, score {record['score']:.2f}."
    remarks = escape(" ".join([about, *record["remarks"]]))
    return (
        f'<figure><a href="{record["mask"]}"><img loading="lazy" src="{record["overlay"]}" '
        f'alt="The mask of “{sentence}” over {image}"></a>'
        f"<figcaption><b>{sentence}</b>{image}<br>{remarks}</figcaption></figure>"
    )
