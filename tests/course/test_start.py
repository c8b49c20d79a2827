"""A notebook's setup cell: an unknown parameter, a wrong world or folder ends it in words."""

import json
import types
from pathlib import Path

import nbformat
import papermill
import pytest
import torch
from papermill.parameterize import parameterize_notebook

import tvnet
from tvnet.course import start as module
from tvnet.course.start import notebook_done, origin, start
from tvnet.data import refer

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
LEFT = {"PROFILE": "smoke", "SEED": 0, "DATA_DIR": "", "OUT_DIR": ""}  # as the cells have them


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A repository of its own, and a user who stands elsewhere; drawing only writes the marker."""
    (tmp_path / "repository").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr(module, "repository", lambda: tmp_path / "repository")
    monkeypatch.setattr(module, "write", marked)
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def marked(root, pictures, version=refer.VERSION):
    root.mkdir(parents=True)
    about = {"world": "MiniRef", "version": version, "pictures": pictures, "seed": 0}
    (root / refer.MARKER).write_text(json.dumps(about))


def injected(path, values):
    """The cells that a kernel has run when papermill reaches the setup cell."""
    nb = parameterize_notebook(papermill.iorw.load_notebook_node(str(path)), values)
    code = [cell.source for cell in nb.cells if cell.cell_type == "code"]
    return ["", *code[1:3]]


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"PROFIL": "smoke"}, "no parameter 'PROFIL': it has PROFILE, SEED, DATA_DIR, OUT_DIR."),
        ({"profile": "smoke"}, "no parameter 'profile'"),
        ({"SEED": "one"}, "SEED takes int, not 'one'."),
        ({"SEED": True}, "SEED takes int, not True."),
        ({"DATA_DIR": 5}, "DATA_DIR takes str, not 5."),
        ({"PROFILE": None}, "PROFILE takes str, not None."),
        (
            {"PROFILE": "huge"},
            "There is no profile 'huge': choose one of smoke, laptop, evening, photos, paper.",
        ),
    ],
)
def test_what_papermill_sets_and_the_notebook_does_not_know_stops_it(place, values, sentence):
    scope = LEFT | {"In": injected(PATHS[0], values), "V5": 1} | values
    with pytest.raises(ValueError) as refusal:
        start(scope)
    assert sentence in str(refusal.value)
    assert not list((place / "repository").iterdir())


@pytest.mark.slow
def test_papermill_itself_stops_at_a_misspelt_parameter(tmp_path):
    path = NOTEBOOKS / "10_explorer.ipynb"
    given = {"PROFIL": "smoke", "OUT_DIR": str(tmp_path / "out")}
    with pytest.raises(papermill.PapermillExecutionError, match="no parameter 'PROFIL': it has"):
        papermill.execute_notebook(
            str(path), str(tmp_path / "copy.ipynb"), given, kernel_name="python3",
            cwd=str(tmp_path), progress_bar=False,
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_parameter_that_somebody_deleted_is_named(place):
    with pytest.raises(ValueError, match="The parameter OUT_DIR is missing: a notebook needs"):
        start({name: LEFT[name] for name in ("PROFILE", "SEED", "DATA_DIR")})


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_setup_cells_know_the_parameters_of_their_cell(path):
    """Names and types that `start` is called with are those of the cell that papermill reads."""
    cells = nbformat.read(path, 4).cells
    (setup,) = [c.source for c in cells if c.cell_type == "code" and "start(globals()" in c.source]
    (call,) = [line for line in setup.splitlines() if "start(globals()" in line]
    kinds = papermill.inspect_notebook(str(path))
    own = {name: k["inferred_type_name"] for name, k in kinds.items() if name not in LEFT}
    assert all(f"{name}={kind}" in call for name, kind in own.items())
    assert call.count("=") == 1 + len(own) + ("reads_data" in call)
    usual = {name: kinds[name]["inferred_type_name"] for name in LEFT}
    assert usual == {name: kind.__name__ for name, kind in module.PARAMETERS.items()}
    assert kinds["DATA_DIR"]["default"] == kinds["OUT_DIR"]["default"] == '""'
    code = "".join(c.source for c in cells if c.cell_type == "code" and "parameters" not in str(c))
    reads = "reads_data=False" not in call
    assert reads == ("data_dir" in code.replace(call, ""))
    assert "DATA_DIR" not in code and "OUT_DIR" not in code and "miniref.write" not in code
    done = f'notebook_done("{path.stem}", out_dir, settings{", data_dir" * reads})'
    assert cells[-1].source == done


@pytest.mark.parametrize(
    "profile, data, out", [("smoke", "miniref-smoke", "out/smoke"), ("laptop", "miniref", "out")]
)
def test_the_profiles_own_places_lie_in_the_repository(place, capsys, profile, data, out):
    found = start(LEFT | {"PROFILE": profile})
    repository = place / "repository"
    assert found == (tvnet.settings(profile), repository / "data" / data, repository / out)
    pictures, printed = found[0].miniref_pictures, capsys.readouterr().out
    assert f"Draws MiniRef with {pictures} pictures into {found[1]}" in printed
    assert f"Reads unc+ of MiniRef (pictures {pictures}, seed 0" in printed
    assert f") in {found[1]}.\nWrites to {found[2]}." in printed
    assert start(LEFT | {"PROFILE": profile}) == found
    assert "Draws" not in capsys.readouterr().out
    assert not list((place / "elsewhere").iterdir())


def test_given_folders_count_from_where_the_user_stands(place):
    marked(place / "elsewhere" / "mine", 90)
    _, data_dir, out_dir = start(LEFT | {"DATA_DIR": "mine", "OUT_DIR": "results"})
    assert (data_dir, out_dir) == (place / "elsewhere" / "mine", place / "elsewhere" / "results")


@pytest.mark.parametrize(
    "profile, given", [("smoke", "refcooc"), ("smoke", "../repository/data/miniref"), ("paper", "")]
)
def test_no_other_missing_folder_becomes_a_world(place, profile, given):
    with pytest.raises(FileNotFoundError) as refusal:
        start(LEFT | {"PROFILE": profile, "DATA_DIR": given})
    missing = Path(given).resolve() if given else place / "repository" / "data" / "coco"
    assert f"DATA_DIR is {missing}, and there is no such folder" in str(refusal.value)
    assert f"`python -m data_setup fetch unc+ --root {missing}`" in str(refusal.value)
    assert not missing.exists()


def test_the_default_folder_given_in_words_is_drawn_too(place):
    assert start(LEFT | {"DATA_DIR": "../repository/data/miniref-smoke"})[1].is_dir()


@pytest.mark.parametrize("pictures, version", [(2000, refer.VERSION), (90, 0)])
def test_another_world_is_refused(place, pictures, version):
    marked(place / "repository" / "data" / "miniref-smoke", pictures, version)
    with pytest.raises(ValueError, match=rf"pictures {pictures}, .* and MiniRef \(pictures 90, "):
        start(LEFT)


def test_results_need_a_folder(place):
    (place / "elsewhere" / "taken").write_text("mine")
    for given in ("taken", "taken/below"):
        with pytest.raises(ValueError, match="no folder can be there .*: name another"):
            start(LEFT | {"OUT_DIR": given})
    assert (place / "elsewhere" / "taken").read_text() == "mine"


def test_a_result_names_the_data_set_and_its_root(place, tiny_root):
    settings, data_dir, out_dir = start(LEFT)
    notebook_done("a", out_dir, settings, data_dir)
    done = json.loads((out_dir / "a.done.json").read_text())
    assert done["status"] == "done" and done["profile"] == "smoke" and "commit" in done
    assert done["data"] == origin(settings, data_dir)
    assert done["data"].startswith("unc+ of MiniRef (") and done["data"].endswith(f"in {data_dir}")
    assert origin(settings, tiny_root) == f"unc+ in {tiny_root}"  # real data has no marker
    start(LEFT | {"DATA_DIR": "nowhere"}, reads_data=False)
    assert origin(settings, None) == "no data set"


def test_the_repository_is_found_from_the_package(tmp_path, monkeypatch):
    assert module.repository() == NOTEBOOKS.parent
    installed = types.SimpleNamespace(__file__=str(tmp_path / "site" / "tvnet" / "__init__.py"))
    monkeypatch.setattr(module, "tvnet", installed)
    monkeypatch.chdir(tmp_path)
    assert module.repository() == tmp_path


def test_numbers_too_small_for_a_cpu_are_zero_from_then_on(place):
    torch.set_flush_denormal(False)
    try:
        start(dict(LEFT))
        assert torch.tensor(1e-30) * 1e-10 == 0
    finally:
        torch.set_flush_denormal(True)  # as conftest.py has it
