"""Settings changed from a command line: what fits is taken, what does not is named."""

import re

import pytest

from tvnet.settings import ModelSettings, settings
from tvnet.settings_checks import changed

LAPTOP = settings("laptop")


def test_an_assignment_changes_its_number_and_nothing_else():
    new = changed(LAPTOP, ["training.batch=32", "training.precision=bfloat16", "model.d_fine=7"])
    assert (new.training.batch, new.training.precision, new.model.d_fine) == (32, "bfloat16", 7)
    old = ["training.batch=8", "training.precision=float32"]
    assert changed(new, old) == changed(LAPTOP, ["model.d_fine=7"]) != LAPTOP
    assert changed(LAPTOP, []) == LAPTOP


def test_values_get_the_type_of_their_field():
    new = changed(LAPTOP, ["training.learning_rate=1", "model.level_order=[3,4]"])
    assert new.training.learning_rate == 1 and new.model.level_order == (3, 4)
    assert changed(LAPTOP, ["model.tanh=true"]).model.tanh is True


@pytest.mark.parametrize(
    "assignment", ["batch=32", "training.batch", "training.bach=32", "profile=paper", "model.=1"]
)
def test_a_name_that_does_not_exist_is_reported(assignment):
    with pytest.raises(ValueError, match=f"^'{assignment}' sets nothing: write part.name=value"):
        changed(LAPTOP, [assignment])


@pytest.mark.parametrize(
    "assignment, sentence",
    [
        ("training.batch=many", "batch is 'many': give a whole number."),
        ("training.batch=1.5", "batch is 1.5: give a whole number."),
        ("training.batch=null", "batch is None: give a whole number."),
        ("model.tanh=1", "tanh is 1: give true or false."),
        ("training.power=true", "power is True: give a number."),
        ("training.power=[1]", "power is (1,): give a number."),
        ("model.level_order=3", "level_order is 3: give a list of at most 10 whole numbers."),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_does(assignment, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        changed(LAPTOP, [assignment])


def test_assignments_that_fit_only_together_are_made_together():
    asked = ["training.reported=best", "training.eval_every=100"]
    for order in (asked, asked[::-1]):
        training = changed(settings("laptop"), order).training
        assert (training.reported, training.eval_every) == ("best", 100)


@pytest.mark.parametrize(
    "assignment, sentence",
    [
        ("training.steps=0", "steps is 0: choose a number from 1 to 1000000000"),
        ("training.batch=-8", "batch is -8: choose a number from 1 to 1000000"),
        ("training.precision=bf16", "precision is 'bf16': choose one of 'float32', 'bfloat16'"),
        ("training.ablate_input=both", "ablate_input is 'both': choose one of 'none', 'language'"),
        ("backbone.train_from=res6", "train_from is 'res6': choose one of 'none', 'res3'"),
        ("data.size=0", "size is 0: choose a number from 32 to 1024"),
        ("data.max_words=0", "max_words is 0: choose a number from 1 to 1000"),
    ],
)
def test_a_value_that_trains_nothing_is_reported(assignment, sentence):
    with pytest.raises(ValueError, match=sentence):
        changed(settings("laptop"), [assignment])


def test_a_choice_that_does_not_exist_is_named_as_everywhere():
    with pytest.raises(ValueError, match="gate is 'none': choose one of 'channel', 'position'."):
        changed(LAPTOP, ["model.gate=none"])
    assert LAPTOP.model.gate == ModelSettings().gate
