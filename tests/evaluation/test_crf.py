"""DenseCRF: the lattice against all pairs, mean field by loops, and a library's own numbers."""

import numpy as np
import pytest
import torch

from tvnet.data.dataset import collate
from tvnet.evaluation.crf import ALIKE, ITERATIONS, SMOOTH, Lattice, kernels, refine, refine_batch
from tvnet.evaluation.evaluate import evaluate
from tvnet.model.method import build
from tvnet.rows import row_settings
from tvnet.settings import settings


def scene():
    """Two colours side by side with a little texture, and logits that know half of it."""
    y, x = np.mgrid[:12, :16]
    planes = [np.where(x > 7, 200, 60) + 3 * (y % 2), 80 + 4 * y, 40 + (x * 7) % 5 * 10]
    logits = (8 - (y - 5) ** 2 - (x - 9) ** 2 / 2) / 9 + 1.5 * ((x * 5 + y * 3) % 4 == 0)
    return np.stack(planes, axis=-1).astype(np.uint8), logits.astype(np.float32)[None]


def test_prior_works_parameters():
    assert (SMOOTH, ALIKE, ITERATIONS) == ((3.0, None, 3.0), (20.0, 3.0, 10.0), 5)


@pytest.mark.parametrize("d, spread, closeness", [(2, 3.0, 0.999), (5, 1.2, 0.99)])
def test_the_lattice_is_nearly_the_sum_over_all_pairs(d, spread, closeness):
    rng = np.random.default_rng(0)
    points, values = rng.normal(size=(500, d)) * spread, rng.uniform(size=(500, 1))
    apart = points[:, None] - points[None]
    exact = np.exp(-0.5 * (apart**2).sum(-1)) @ values
    found = Lattice(points)(values.astype(np.float32))
    assert np.corrcoef(exact[:, 0], found[:, 0])[0, 1] > closeness


def test_each_point_is_spread_over_its_corners_whole():
    points = np.random.default_rng(1).normal(size=(300, 5)) * 4
    spread = Lattice(points).spread
    assert spread.data.min() >= -1e-6 and np.allclose(spread.sum(1), 1, atol=1e-5)
    corner = Lattice(np.zeros((1, 5))).spread  # the origin is a corner
    assert sorted(corner.data.tolist())[-1] == pytest.approx(1)


def test_the_numbers_of_a_library():
    """Log odds after five iterations, computed once with pydensecrf2 1.1 on the same input."""
    image, logits = scene()
    library = [
        [-17.283, -16.455, -14.414, -13.921, -12.768, -15.659],
        [-15.154, -14.468, -12.324, -9.780, 8.016, -12.762],
        [-15.957, -15.180, -13.123, -11.787, 6.926, -13.829],
    ]
    assert np.abs(refine(logits, image)[0, ::4, ::3] - library).max() < 2e-3


def test_mean_field_by_loops():
    """Two beliefs a pixel and a softmax over them, with the filters written out as matrices."""
    image, logits = scene()
    image, logits = image[:4, 5:10], logits[:, :4, 5:10]
    matrices = [(w, pull(np.eye(20, dtype=np.float32)).astype(float)) for w, pull in kernels(image)]
    unary = np.stack([np.zeros(20), logits[0].ravel().astype(float)])
    Q = np.exp(unary) / np.exp(unary).sum(0)
    for _ in range(3):
        energy = unary.copy()
        for weight, K in matrices:
            for label in range(2):
                for pixel in range(20):
                    energy[label, pixel] += weight * K[pixel] @ Q[label]
        Q = np.exp(energy - energy.max(0)) / np.exp(energy - energy.max(0)).sum(0)
    odds = np.log(Q[1] / Q[0]).reshape(4, 5)
    assert np.allclose(refine(logits, image, iterations=3)[0], odds, atol=1e-3)


def test_a_border_moves_to_the_colours_and_a_speck_goes():
    image = np.zeros((24, 24, 3), np.uint8)
    image[:, 12:] = 200
    logits = np.full((1, 24, 24), -2.0, np.float32)
    logits[:, :, 10:] = 2.0  # two columns too many
    logits[:, 3, 3] = 2.0  # a speck
    assert np.array_equal(refine(logits, image)[0] > 0, image[..., 0] > 0)
    one, other = refine(logits, image), refine(-logits, image)
    assert np.allclose(one, -other, atol=1e-3)  # neither label is favoured


def test_refined_rows_are_evaluated_as_all_others(ready):
    chosen = row_settings(settings("smoke"), "CMPC")
    torch.manual_seed(0)
    model, dataset = build(chosen, len(ready.vocabulary)), ready.dataset(chosen, "val")
    refined = evaluate(model, dataset, ready.features, refine=refine_batch)["clean"]
    plain = evaluate(model, dataset, ready.features)["clean"]
    assert np.array_equal(refined.sent_id, plain.sent_id)
    assert np.array_equal(refined.area, plain.area)
    everywhere = evaluate(
        model, dataset, ready.features, refine=lambda _, __, logits: torch.ones_like(logits)
    )
    assert np.array_equal(everywhere["clean"].union, plain.pixels)  # what refine gives is judged
    batch = collate([dataset[i] for i in range(3)])
    logits = torch.randn(3, 1, 96, 96)
    alone = [refine_batch(ready.data, collate([dataset[i]]), logits[i : i + 1]) for i in range(3)]
    together = refine_batch(ready.data, batch, logits)
    assert torch.allclose(together, torch.cat(alone), atol=1e-3)
    assert not torch.equal(together, logits)
