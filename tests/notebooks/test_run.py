"""The runner refuses what cannot be right and judges by the last cell; notebooks keep form."""

import importlib.util
import json
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tvnet.course import checks

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def load(name):
    spec = importlib.util.spec_from_file_location(f"notebooks_{name}", NOTEBOOKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run, normalise, publish = load("run"), load("normalise"), load("publish")
student = load("student")

PARAMETERS = 'PROFILE: str = "smoke"\nSEED: int = 0\nDATA_DIR: str = "d"\nOUT_DIR: str = "o"'
DONE = (
    "import json, pathlib\n"
    "pathlib.Path(OUT_DIR, 'a.done.json').write_text(json.dumps({'status': 'done'}))"
)


def notebook(folder, *sources, parameters=PARAMETERS, name="a"):
    cells = [new_markdown_cell("# A"), new_code_cell(parameters), *map(new_code_cell, sources)]
    cells[1].metadata["tags"] = ["parameters"]
    python = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=cells, metadata=python), folder / f"{name}.ipynb")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["b"], "There is no notebook 'b': choose from a."),
        (["-p", "PROFIL", "smoke"], "a has no parameter 'PROFIL': it has PROFILE, SEED, DATA_DIR"),
        (["-p", "SEED", "one"], "a takes SEED as int, not 'one'."),
    ],
)
def test_the_runner_refuses_before_a_kernel_starts(tmp_path, capsys, arguments, sentence):
    notebook(tmp_path, "open('ran', 'w')")
    assert run.main(arguments, tmp_path) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


FAULTS = {  # a notebook's text -> the sentence
    "{half": "no notebook that can be read",
    "[]": "no notebook that can be read",
    '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}': "no notebook that can be read",
    '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}': "tagged 'parameters'",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_faulty_notebook_has_a_row(tmp_path, capsys, monkeypatch, text):
    (tmp_path / "a.ipynb").write_text(text)
    notebook(tmp_path, name="b", parameters='PROFILE: str = "smoke"')
    notebook(tmp_path, name="c")
    monkeypatch.setattr(run, "run", lambda path, values: None)
    assert run.main([], tmp_path) == 1
    printed = capsys.readouterr()
    assert FAULTS[text] in printed.err
    assert "b has no parameter OUT_DIR, where its last cell writes: add it." in printed.err
    rows = {line.split()[0]: line.split()[-1] for line in printed.out.splitlines()[-3:]}
    assert rows == {"a": "FAILED", "b": "FAILED", "c": "done"}


def test_an_out_dir_that_is_a_file_is_a_failed_row(tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    notebook(tmp_path)
    notebook(tmp_path, name="b")
    assert run.main(["-p", "OUT_DIR", str(tmp_path / "taken")], tmp_path) == 1
    printed = capsys.readouterr()
    assert printed.err.count(f"OUT_DIR is {tmp_path / 'taken'}, and results cannot be written") == 2
    assert printed.out.count("FAILED") == 2 and (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("text", ["[]", "3", '"done"', "{half", '{"status": "begun"}', "\xff"])
def test_only_a_whole_file_that_says_so_is_the_end(tmp_path, text):
    (tmp_path / "a.done.json").write_bytes(text.encode("latin-1"))
    assert not run.has_ended(tmp_path / "a.done.json")
    assert not run.has_ended(tmp_path)
    (tmp_path / "a.done.json").write_text('{"status": "done"}')
    assert run.has_ended(tmp_path / "a.done.json")


def test_folders_that_are_given_count_from_here_and_others_are_the_notebooks_own(
    tmp_path, monkeypatch
):
    notebook(tmp_path)
    notebook(tmp_path, name="b", parameters=PARAMETERS.replace('"d"', '""').replace('"o"', '""'))
    monkeypatch.chdir("/")
    given = {"DATA_DIR": "tmp/x", "OUT_DIR": "tmp/y"}
    assert run.checked(tmp_path / "a.ipynb", given) == {"DATA_DIR": "/tmp/x", "OUT_DIR": "/tmp/y"}
    assert run.checked(tmp_path / "a.ipynb", {}) == {"OUT_DIR": str(tmp_path / "o")}
    repository = NOTEBOOKS.parent
    for profile, own in (("smoke", "out/smoke"), ("laptop", "out")):
        values = run.checked(tmp_path / "b.ipynb", {"PROFILE": profile, "DATA_DIR": ""})
        assert values == {"PROFILE": profile, "DATA_DIR": "", "OUT_DIR": str(repository / own)}


@pytest.mark.slow
def test_success_is_the_file_written_last(tmp_path, capsys):
    out = tmp_path / "out"
    notebook(tmp_path, DONE)
    assert run.main(["-p", "OUT_DIR", str(out)], tmp_path) == 0
    notebook(tmp_path, "1")  # an old done file must not count
    assert run.main(["-p", "OUT_DIR", str(out)], tmp_path) == 1
    assert "does not say that it is done: its last cell" in capsys.readouterr().err


@pytest.mark.slow
def test_a_failing_cell_is_reported_in_one_sentence(tmp_path, capsys):
    notebook(tmp_path, "raise ValueError('There is no profile.')", DONE)
    assert run.main(["-p", "OUT_DIR", str(tmp_path / "out")], tmp_path) == 1
    assert "ValueError in cell 3: There is no profile. The copy is" in capsys.readouterr().err


@pytest.mark.slow
def test_an_unknown_profile_ends_the_notebook_with_its_sentence(tmp_path, capsys):
    arguments = ["00_start_here", "-p", "PROFILE", "huge", "-p", "OUT_DIR", str(tmp_path)]
    assert run.main(arguments) == 1
    sentence = "There is no profile 'huge': choose one of smoke, laptop, evening, photos, paper."
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "00_start_here.done.json").exists()


def test_a_warning_of_ours_is_recognised():
    assert run.OURS.search("/home/x/tvnet/data/refer.py:3: UserWarning: odd")
    assert not run.OURS.search("/lib/torch/nn/functional.py:3: UserWarning: odd")


def test_normalising_twice_changes_nothing(tmp_path):
    notebook(tmp_path, "1", "1")
    path = tmp_path / "a.ipynb"
    dirty = nbformat.read(path, 4)
    dirty.cells[2].outputs = [nbformat.v4.new_output("stream", text="hello")]
    dirty.cells[2].metadata["collapsed"] = True
    nbformat.write(dirty, path)
    assert normalise.main(["--check", str(path)]) == 1
    assert normalise.main([str(path)]) == 0
    assert normalise.main(["--check", str(path)]) == 0
    clean = nbformat.read(path, 4)
    assert clean.cells[1].metadata == {"tags": ["parameters"]}
    assert clean.cells[2].outputs == [] and clean.cells[2].metadata == {}
    assert len({cell["id"] for cell in clean.cells}) == len(clean.cells)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda p: p.stem)
def test_committed_notebooks_keep_the_rules(path):
    import papermill

    assert normalise.normalised(path.read_text()) == path.read_text()
    parameters = papermill.inspect_notebook(str(path))
    assert list(parameters)[:4] == ["PROFILE", "SEED", "DATA_DIR", "OUT_DIR"]
    assert all(entry["inferred_type_name"] in run.TYPES for entry in parameters.values())
    code = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    lines = [len(cell.source.splitlines()) for cell in code]
    assert max(lines) <= 25 and sorted(lines)[len(lines) // 2] <= 7
    assert "cuda()" not in "".join(cell.source for cell in code)


def test_the_readme_shows_the_published_tables():
    readme = publish.README.read_text()
    assert readme == publish.shown(readme)


def test_student_copies_hold_no_answer_and_say_what_is_left_to_do(tmp_path, capsys):
    assert student.main(["--out", str(tmp_path)]) == 0
    stubs = 0
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(tmp_path / path.name, 4)
        nbformat.validate(notebook)
        text = "".join(cell.source for cell in notebook.cells)
        assert "<details>" not in text and "reference." not in text
        assert "stub returns" not in text and "answer, so the notebook runs" not in text
        asked = any("NotImplementedError" in cell.source for cell in notebook.cells)
        assert asked == ("`o not attempted yet` until you replace the marked line" in text)
        first = notebook.cells[0].source
        assert "**This is a copy for students.**" in first
        assert asked == ("Marked lines are blank" in first)
        for cell in notebook.cells:
            if "raise NotImplementedError" in cell.source:
                stubs += 1
                exec(cell.source, {"checks": checks})
                assert capsys.readouterr().out.splitlines()[-1] == "o not attempted yet"
    assert stubs == len(checks.__all__) >= 14


def test_what_has_been_run_is_published_and_nothing_else(tmp_path, monkeypatch, capsys):
    results, readme = tmp_path / "notebooks" / "results", tmp_path / "README.md"
    shutil.copytree(publish.RESULTS, results)
    readme.write_text(publish.with_block(publish.README.read_text(), "table2", "old"))
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    monkeypatch.setattr(publish, "README", readme)
    monkeypatch.setattr(publish, "RESULTS", results)
    monkeypatch.setattr(publish, "HERE", tmp_path / "notebooks")
    assert publish.main(["--out", str(tmp_path)]) == 2
    assert "holds neither table1.json nor table2.json: run notebook 09" in capsys.readouterr().err
    summary = json.loads(before["table2.json"])
    summary["training"]["steps"] = 1234
    (tmp_path / "table2.json").write_text(json.dumps(summary))
    (tmp_path / "table2_sentences.npz").write_bytes(b"new")
    assert publish.main(["--out", str(tmp_path)]) == 0
    assert "results now holds table2.json, and README.md shows it." in capsys.readouterr().out
    assert "Measured like Table 1, 1,234 steps each" in readme.read_text()
    changed = {path.name for path in results.iterdir() if path.read_bytes() != before[path.name]}
    assert changed == {"table2.json", "table2_sentences.npz"}
