"""How `make app` starts Voila, read from the Makefile."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def app_options() -> list[str]:
    """The options that `make app` gives Voila, but for the token, which the test chooses."""
    rule = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    options = shlex.split(re.search(r"voila notebooks/templates/app.ipynb (.*)", rule)[1])
    assert "JUPYTER_PATH=notebooks/templates " in rule
    assert "--token" in options and "--Voila.ip=127.0.0.1" in options
    return [option for option in options if option != "--token"]
