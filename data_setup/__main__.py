"""Data roots: fetch the real benchmarks, draw the built-in world, or bring your own pictures.

Exit codes: 0 done, 2 usage, 3 disk, 4 network, 5 a file is not what it should be, 6 its content is
not. A set is one of unc, unc+, gref, gref-umd, referit, referit-hu, weights, glove, or your own.
"""

import argparse
import sys
import time
from pathlib import Path

from data_setup import commands
from data_setup.fetch.sources import REGISTRY, DataSet, SetupError, read_registry
from data_setup.index import indexed

SETS = ("unc", "unc+", "gref", "referit", "weights", "glove")  # what "all" means: no extras


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> None:
        print(message[0].upper() + message[1:].rstrip(".") + ".", file=sys.stderr)
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m data_setup", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)

    def command(name: str, about: str, root: str | None) -> argparse.ArgumentParser:
        added = subparsers.add_parser(name, help=about)
        added.add_argument("--root", type=Path, default=root and Path(root), required=root is None)
        return added

    for name in ("plan", "fetch", "verify", "status"):
        added = command(name, getattr(commands, name).__doc__.partition("\n")[0], "data")
        added.add_argument("sets", nargs="+" if name == "fetch" else "*", metavar="SET")
        added.add_argument("--sources", type=Path, default=REGISTRY, help="another registry")
        if name == "fetch":
            added.add_argument("--offline", action="store_true", help="open no connection")
    command("clean", commands.clean.__doc__, "data")
    own = command(
        "own", "a data set of your own pictures, masks or outlines, and sentences", "data"
    )
    own.add_argument("folder", type=Path)
    own.add_argument("--name", default="own")
    own.add_argument("--seed", type=int, default=0, help="of the splits, where no row names one")
    own.add_argument("--turn", action="store_true", help="turn pictures as their EXIF flag says")
    miniref = command("miniref", "draw the built-in world", "data/miniref")
    miniref.add_argument("--pictures", type=int, default=2000)
    miniref.add_argument("--seed", type=int, default=0)
    minivoc = command("minivoc", "draw the pictures of the backbone's training", "data/minivoc")
    minivoc.add_argument("--pictures", type=int, default=10_000)
    sheet = command("miniref-sheet", "show 24 samples of it in one picture", "data/miniref")
    sheet.add_argument("--out", type=Path, default=Path("notebooks/figures/miniref.png"))
    excerpt = command("excerpt", "cut a small data root out of a drawn one", None)
    excerpt.add_argument("--source", type=Path, default=Path("data/miniref"))
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
    """The command; what draws is imported only where it is asked for."""
    root = options.root
    if options.command in ("miniref", "minivoc"):
        from data_setup.miniref.minivoc import write_minivoc
        from data_setup.miniref.write import write

        start = time.perf_counter()
        if options.command == "miniref":
            drawn = write(root, options.pictures, options.seed)
        else:
            drawn = write_minivoc(root, options.pictures)
        done = f"was drawn in {time.perf_counter() - start:.0f} s" if drawn else "is there already"
        print(f"{options.command} of {options.pictures} pictures {done}: {root}")
    elif options.command == "miniref-sheet":
        from data_setup.miniref.write import write_sheet

        write_sheet(root, options.out)
        print(f"The contact sheet is {options.out}.")
    elif options.command == "excerpt":
        from data_setup.excerpt import images_of, write_excerpt

        also = images_of(options.also) if options.also else []
        counts = write_excerpt(options.source, root, options.pictures, also)
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        print(f"{root} is ready; pictures: {listed}.")
    elif options.command == "own":
        from data_setup.custom.write import write_custom

        print(write_custom(options.folder, root, options.name, options.turn, options.seed))
    elif options.command == "clean":
        commands.clean(root)
    else:
        sets, own = _chosen(options)
        if options.command == "fetch":
            commands.fetch(sets, root, options.offline)
        elif options.command == "plan":
            commands.plan(sets, root)
        else:
            getattr(commands, options.command)(sets, own, root)


def _chosen(options: argparse.Namespace) -> tuple[list[DataSet], list[str]]:
    """The named sets of the registry and of the user; where none is named, those that are there to
    be verified, or all."""
    registry = read_registry(options.sources)
    own = []
    if options.command in ("verify", "status"):
        own = [name for name in indexed(options.root) if name not in registry | read_registry()]
    for name in options.sets:
        if name not in [*registry, *own]:
            listed = ", ".join([*registry, *own])
            raise SetupError(f"There is no set '{name}': choose from {listed}.")
    if options.sets:
        names = dict.fromkeys(options.sets)
        return [registry[n] for n in names if n in registry], [n for n in names if n in own]
    usual = [registry[name] for name in SETS if name in registry]
    if options.command == "verify":
        usual = [s for s in usual if any(x.path(options.root).is_file() for x in s.sources)]
        if not usual and not own:
            raise SetupError(f"There is nothing to verify in {options.root}: fetch a set first.")
    return usual, own


if __name__ == "__main__":
    sys.exit(main())
