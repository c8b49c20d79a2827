"""The command line of data_setup: `python -m data_setup miniref` draws the built-in world."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from data_setup.miniref.sheet import write_sheet
from data_setup.miniref.write import write


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> None:
        print(message[0].upper() + message[1:].rstrip(".") + ".", file=sys.stderr)
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m data_setup", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    miniref = commands.add_parser("miniref", help="draw the built-in world")
    miniref.add_argument("--root", type=Path, default=Path("data/miniref"))
    miniref.add_argument("--pictures", type=int, default=2000)
    miniref.add_argument("--seed", type=int, default=0)
    sheet = commands.add_parser("miniref-sheet", help="show 24 samples of it in one picture")
    sheet.add_argument("--root", type=Path, default=Path("data/miniref"))
    sheet.add_argument("--out", type=Path, default=Path("notebooks/figures/miniref.png"))
    sheet.add_argument("--seed", type=int, default=0)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it is done, 2 when it cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "miniref":
            start = time.perf_counter()
            drawn = write(options.root, options.pictures, options.seed)
            done = (
                f"was drawn in {time.perf_counter() - start:.0f} s" if drawn else "is there already"
            )
            print(
                f"MiniRef ({options.pictures} pictures, seed {options.seed}) {done}: {options.root}"
            )
        else:
            write_sheet(options.root, options.out, options.seed)
            print(f"The contact sheet is {options.out}.")
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
