"""Data roots: fetch the real benchmarks, draw the built-in world, or bring your own pictures.

Exit codes: 0 done, 2 usage, 3 disk, 4 network, 5 a file is not what it should be, 6 its content is
not. A set is one of unc, unc+, gref, gref-umd, referit, referit-hu, weights, glove, or your own.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from data_setup import commands
from data_setup.fetch.sources import REGISTRY, DataSet, SetupError, read_registry

SETS = ("unc", "unc+", "gref", "referit", "weights", "glove")  # what "all" means: no extras
HELP = {
    "plan": "print what would be loaded, from where, under which licence",
    "fetch": "load, check and convert; stop and start it as you like",
    "verify": "hash, count and open everything again",
    "status": "print what is there",
    "clean": "remove what interrupted runs have left",
}


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> None:
        print(message[0].upper() + message[1:].rstrip(".") + ".", file=sys.stderr)
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m data_setup", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, about in HELP.items():
        command = subparsers.add_parser(name, help=about)
        command.add_argument("--root", type=Path, default=Path("data"))
        if name != "clean":
            command.add_argument("sets", nargs="+" if name == "fetch" else "*", metavar="SET")
            command.add_argument(
                "--sources", type=Path, default=REGISTRY, help="another registry: your own mirror"
            )
        if name == "fetch":
            command.add_argument("--offline", action="store_true", help="open no connection")
    own = subparsers.add_parser("own", help="a data set of your own pictures, masks and sentences")
    own.add_argument("folder", type=Path)
    own.add_argument("--name", default="own")
    own.add_argument("--root", type=Path, default=Path("data"))
    own.add_argument("--turn", action="store_true", help="turn pictures as their EXIF flag says")
    miniref = subparsers.add_parser("miniref", help="draw the built-in world")
    miniref.add_argument("--root", type=Path, default=Path("data/miniref"))
    miniref.add_argument("--pictures", type=int, default=2000)
    miniref.add_argument("--seed", type=int, default=0)
    minivoc = subparsers.add_parser("minivoc", help="draw the pictures of the backbone's training")
    minivoc.add_argument("--root", type=Path, default=Path("data/minivoc"))
    minivoc.add_argument("--pictures", type=int, default=10_000)
    sheet = subparsers.add_parser("miniref-sheet", help="show 24 samples of it in one picture")
    sheet.add_argument("--root", type=Path, default=Path("data/miniref"))
    sheet.add_argument("--out", type=Path, default=Path("notebooks/figures/miniref.png"))
    sheet.add_argument("--seed", type=int, default=0)
    excerpt = subparsers.add_parser("excerpt", help="cut a small data root out of a drawn one")
    excerpt.add_argument("--source", type=Path, default=Path("data/miniref"))
    excerpt.add_argument("--root", type=Path, required=True)
    excerpt.add_argument("--pictures", type=int, default=150, help="training pictures")
    excerpt.add_argument("--also", type=Path, help="examples.json: their pictures come along")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it is done, else the exit code of what stands in its way."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in read_registry():  # fetch is the usual command
        arguments = ["fetch", *arguments]
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except SetupError as error:
        print(error, file=sys.stderr)
        return error.code
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped: run the same again to continue from here.", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.command in ("miniref", "minivoc"):
        _draw(options)
    elif options.command == "miniref-sheet":
        from data_setup.miniref.sheet import write_sheet

        write_sheet(options.root, options.out, options.seed)
        print(f"The contact sheet is {options.out}.")
    elif options.command == "excerpt":
        from data_setup.excerpt import images_of, write_excerpt

        also = images_of(options.also) if options.also else []
        counts = write_excerpt(options.source, options.root, options.pictures, also)
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"{options.root} is ready; pictures: {listed}.")
    elif options.command == "own":
        from data_setup.custom.write import write_custom

        print(write_custom(options.folder, options.root, options.name, options.turn))
    elif options.command == "clean":
        commands.clean(options.root)
    else:
        sets, own = _chosen(options)
        if options.command == "fetch":
            commands.fetch(sets, options.root, options.offline)
        elif options.command == "plan":
            commands.plan(sets, options.root)
        else:
            getattr(commands, options.command)(sets, own, options.root)


def _chosen(options: argparse.Namespace) -> tuple[list[DataSet], list[str]]:
    """The named sets of the registry and of the user; where none is named, those that are there to
    be verified, or all."""
    registry = read_registry(options.sources)
    looks = options.command in ("verify", "status")
    own = commands.custom_sets(options.root, {*registry, *read_registry()}) if looks else []
    for name in options.sets:
        if name not in [*registry, *own]:
            raise SetupError(
                f"There is no set '{name}': choose from {', '.join([*registry, *own])}."
            )
    if options.sets:
        names = dict.fromkeys(options.sets)
        return [registry[n] for n in names if n in registry], [n for n in names if n in own]
    usual = [registry[name] for name in SETS if name in registry]
    if options.command == "verify":
        usual = [s for s in usual if any(x.path(options.root).is_file() for x in s.sources)]
        if not usual and not own:
            raise SetupError(f"There is nothing to verify in {options.root}: fetch a set first.")
    return usual, own


def _draw(options: argparse.Namespace) -> None:
    from data_setup.miniref.minivoc import write_minivoc
    from data_setup.miniref.write import write

    start = time.perf_counter()
    if options.command == "miniref":
        drawn = write(options.root, options.pictures, options.seed)
        world = f"MiniRef ({options.pictures} pictures, seed {options.seed})"
    else:
        drawn = write_minivoc(options.root, options.pictures)
        world = f"MiniVOC ({options.pictures} pictures)"
    done = f"was drawn in {time.perf_counter() - start:.0f} s" if drawn else "is there already"
    print(f"{world} {done}: {options.root}")


if __name__ == "__main__":
    sys.exit(main())
