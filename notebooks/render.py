"""Executed copies of the notebooks: Markdown for the web, HTML and slides for offline reading.

    python notebooks/render.py rendered|html|slides [NAME ...] [-p KEY VALUE ...]

`rendered` runs the notebooks and writes notebooks/rendered/NAME.md with its pictures beside it;
it is committed. `html` and `slides` write to out/ and ask nothing of a network when they are read;
they take the copies of the last run, and run what has changed since.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import re
import shutil
import sys
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import run as runner  # the runner stands beside this file, in no package
from latex2mathml.converter import convert
from nbconvert import HTMLExporter, MarkdownExporter, SlidesExporter
from nbformat import NotebookNode
from PIL import Image, ImageChops
from slides import HIDDEN_INPUT, arranged
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
RENDERED, OUT = HERE / "rendered", HERE.parent / "out"
TEMPLATES = HERE / "templates"
REVEAL = HERE.parent / ".venv" / "reveal"  # where `make slides` puts reveal.js
WIDGET = "application/vnd.jupyter.widget-view+json"
FRAME = 'class="dataframe"'
HIDDEN = {"colab", "injected-parameters"}
FIGURE = re.compile(r"# Figure: (.*)")
MATH = re.compile(
    r"(<(?P<tag>pre|code|script|style)\b.*?</(?P=tag)>|<[^>]*>)"  # stays as it is
    r"|\$\$(?P<shown>.+?)\$\$|\$(?P<inline>[^$\n<]+?)\$",
    re.S,
)


def digest(path: Path) -> str:
    """What a rendered copy records of the notebook that it was made from."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def executed(path: Path, given: dict[str, str], again: bool) -> NotebookNode:
    """The notebook with its outputs, from its last run if that saw the same cells."""
    values = runner.checked(path, given)
    copy = Path(str(values["OUT_DIR"])) / "notebooks" / path.name
    if again or not copy.is_file() or sources(copy) != sources(path):
        if fault := runner.run(path, values):
            raise SystemExit(f"{path.stem}: {fault}")
    return readable(nbformat.read(copy, 4))


def sources(path: Path) -> list[str]:
    cells = nbformat.read(path, 4).cells
    return [
        c.source
        for c in cells
        if "injected-parameters" not in c.metadata.get("tags", [])
    ]


def readable(notebook: NotebookNode) -> NotebookNode:
    """Without what only a machine needs: set-up cells, progress, paths; figures small and described."""
    notebook.cells = [
        c
        for c in notebook.cells
        if not HIDDEN & set(c.metadata.get("tags", []))
    ]
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        caption = FIGURE.match(cell.source)
        for output in cell.outputs:
            if "text" in output:
                output.text = output.text.replace(f"{HERE.parent}/", "")
            if FRAME in output.get("data", {}).get("text/html", ""):
                output.data["text/markdown"] = table(output.data["text/html"])
            # Of a widget only its static preview can be read.
            output.get("data", {}).pop(WIDGET, None)
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])
                output.metadata["image/png"] = {
                    "alt": caption[1] if caption else ""
                }
    return notebook


def smaller(png: str) -> str:
    """A base64 PNG at its smallest with every colour: a palette only where it holds them all."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    few = picture.quantize(256)
    same = not ImageChops.difference(picture, few.convert("RGB")).getbbox()
    small = io.BytesIO()
    (few if same else picture).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def table(html: str) -> str:
    """The table that pandas wrote as HTML, as Markdown; its plain text breaks long lines."""
    found = ElementTree.fromstring(
        html[html.index("<table") : html.index("</table>") + len("</table>")]
    )

    def cells(row: ElementTree.Element) -> list[str]:
        texts = (" ".join("".join(cell.itertext()).split()) for cell in row)
        return [
            text.replace("|", "\\|").replace("<", "&lt;") for text in texts
        ]

    # An index with a name puts it into a second row of the head, below an empty cell.
    head = [cells(row) for row in found.iterfind("thead/tr")]
    names = [
        " ".join(filter(None, column)) for column in zip(*head, strict=True)
    ]
    rows = [
        names,
        ["---"] * len(names),
        *map(cells, found.iterfind("tbody/tr")),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def rendered(path: Path, given: dict[str, str]) -> Path:
    """Write the Markdown copy and its pictures; its first line names its source."""
    notebook = executed(path, given, again=True)
    config = Config()
    config.NbConvertBase.display_data_priority = [
        "text/markdown",
        "image/png",
        "text/plain",
    ]
    exporter = MarkdownExporter(config=config)
    text, extra = exporter.from_notebook_node(
        notebook,
        resources={"unique_key": "cell", "output_files_dir": path.stem},
    )

    def with_alt(found: re.Match) -> str:
        caption = FIGURE.match(notebook.cells[int(found[2])].source)
        return f"![{caption[1] if caption else ''}]({found[1]})"

    text = re.sub(r"!\[png\]\((\S+/cell_(\d+)_\d+\.png)\)", with_alt, text)
    text = re.sub(r"\]\((figures/|glossary\.md)", r"](../\1", text)
    text = text.replace(".ipynb)", ".md)")
    text = re.sub(r"\(https://colab\S*/(\w+)\.md\)", r"(../\1.ipynb)", text)
    text = text.replace("[Open in Colab]", "[The notebook]")
    shutil.rmtree(RENDERED / path.stem, ignore_errors=True)
    for name, data in extra["outputs"].items():
        (RENDERED / name).parent.mkdir(parents=True, exist_ok=True)
        (RENDERED / name).write_bytes(data)
    copy = RENDERED / f"{path.stem}.md"
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    copy.write_text(
        f"<!-- made by `make rendered` from {digest(path)} -->\n\n{lines}\n"
    )
    return copy


def with_mathml(page: str) -> str:
    """An HTML page with its formulas as MathML, which browsers draw by themselves."""

    def converted(found: re.Match) -> str:
        formula = found["shown"] or found["inline"]
        return (
            convert(
                unescape(formula),
                display="block" if found["shown"] else "inline",
            )
            if formula
            else found[0]
        )

    return MATH.sub(converted, page)


def html(path: Path, given: dict[str, str]) -> Path:
    """One file with everything in it."""
    exporter = HTMLExporter(
        template_name="offline",
        extra_template_basedirs=[str(TEMPLATES)],
        embed_images=True,
    )
    notebook = executed(path, given, again=False)
    return exported(
        exporter, notebook, path, OUT / "html" / f"{path.stem}.html"
    )


def slides(path: Path, given: dict[str, str]) -> Path:
    """A slide a heading, its further cells below it; reveal.js lies beside the file."""
    notebook = arranged(executed(path, given, again=False))
    assets = REVEAL / "sphinx_revealjs" / "_static" / "revealjs"
    shutil.copytree(assets, OUT / "slides" / "reveal.js", dirs_exist_ok=True)
    exporter = SlidesExporter(
        template_name="offline_slides", extra_template_basedirs=[str(TEMPLATES)],
        reveal_url_prefix="reveal.js", reveal_theme="simple", embed_images=True,
        config=Config({"TagRemovePreprocessor": {"enabled": True, "remove_input_tags": [HIDDEN_INPUT]}}),
    )  # fmt: skip
    return exported(
        exporter, notebook, path, OUT / "slides" / f"{path.stem}.html"
    )


def exported(
    exporter: HTMLExporter, notebook: NotebookNode, path: Path, target: Path
) -> Path:
    resources = {"metadata": {"path": str(HERE), "name": path.stem}}
    text, _ = exporter.from_notebook_node(notebook, resources=resources)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "glossary.md", target.parent)
    target.write_text(with_mathml(text), "utf-8")
    return target


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=("rendered", "html", "slides"))
    parser.add_argument(
        "names", nargs="*", help="all of them by default, in order"
    )
    parser.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("KEY", "VALUE")
    )
    options = parser.parse_args(arguments)
    make = {"rendered": rendered, "html": html, "slides": slides}[options.kind]
    try:
        names = options.names or sorted(
            path.stem for path in HERE.glob("*.ipynb")
        )
        for path in [runner.find(name, HERE) for name in names]:
            print(
                make(path, dict(options.p)).relative_to(HERE.parent),
                flush=True,
            )
    except (runner.RefusedError, runner.FaultyError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
