"""The training loop: Adam, polynomial decay, cross-entropy summed over pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet.data.dataset import Batch, ReferDataset
from tvnet.data.words import UNK
from tvnet.experiment import distributed
from tvnet.experiment.features import CachedFeatures, LiveFeatures, Maps
from tvnet.experiment.order import batches
from tvnet.experiment.progress import Progress
from tvnet.model.method import Method
from tvnet.model.registry import build
from tvnet.settings import Settings, TrainingSettings


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Polynomial decay from learning_rate at step 0 to end_learning_rate at the last (D29)."""
    left = 1 - min(step, settings.steps) / settings.steps
    span = settings.learning_rate - settings.end_learning_rate
    return span * left**settings.power + settings.end_learning_rate


def parameter_groups(
    model: nn.Module, backbone: nn.Module, settings: TrainingSettings
) -> list[dict]:
    """Weight decay on the kernels of convolutions and linear maps, and on nothing else.

    The ConvLSTM's kernel, peepholes, the LSTM, the embedding, norms and biases stay undecayed.
    Kernels of the backbone that are trained (D26) form the last group, with their own `rate`.
    """
    kernels = {
        id(module.weight)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and not name.startswith("conv_lstm")
    }
    trained = [p for p in model.parameters() if p.requires_grad]
    parts = [
        ([p for p in trained if id(p) in kernels], settings.weight_decay, 1.0),
        ([p for p in trained if id(p) not in kernels], 0.0, 1.0),
        (
            [p for p in backbone.parameters() if p.requires_grad],
            settings.weight_decay,
            settings.backbone_rate,
        ),
    ]
    return [{"params": p, "weight_decay": d, "rate": rate} for p, d, rate in parts if p]


def device_of(name: str) -> torch.device:
    """The device of a name; "auto" is a CUDA GPU where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def loss_of(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy summed over the pixels, averaged over the batch (D24).

    The sum matters: against a mean the same weight decay would weigh S * S times more.
    """
    target = mask.to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(logits)


def blindfold(batch: Batch, V_in: Maps, blind: str) -> tuple[Maps, Tensor, Tensor]:
    """The inputs of a control that sees no words or no image; else the batch's own (Table 1)."""
    words, lengths = batch.words, batch.lengths
    if blind == "language":
        words, lengths = torch.full_like(words, UNK), torch.ones_like(lengths)
    elif blind == "image":
        V_in = {name: torch.zeros_like(V) for name, V in V_in.items()}
    elif blind != "none":
        raise ValueError(f"blind is '{blind}': use 'none', 'language' or 'image'.")
    return V_in, words, lengths


def logits_of(model: Method, features: CachedFeatures | LiveFeatures, batch: Batch) -> Tensor:
    """Mask logits (B, 1, S, S) of a batch in float32, computed in the settings' precision (D37)."""
    settings = model.settings.training
    low = settings.precision == "bfloat16"
    with torch.autocast(batch.words.device.type, torch.bfloat16, enabled=low):
        V_in, V_sim, valid = features(batch)
        V_in, words, lengths = blindfold(batch, V_in, settings.blind)
        return model(V_in, V_sim, words, lengths, valid)


def train(
    settings: Settings,
    dataset: ReferDataset,
    features: CachedFeatures | LiveFeatures,
    seed: int,
    start: dict[str, Tensor] | None = None,
    first: int = 0,
    last: int | None = None,
    device: str = "cpu",
    report: Callable[[int, float], None] = lambda step, loss: None,
    progress: Progress | None = None,
) -> Method:
    """One run: the model after the last step (D30), in eval mode.

    `start` holds weights to begin with, GloVe's rows or a Baseline's (D40); parts it lacks start
    fresh. `first` and `last` cut a piece out of the schedule. `report(step, loss)` is called
    after each step. With `progress`, the run goes on from its newest snapshot and saves new ones.
    Several processes (distributed.py) share each batch and average their gradients.
    Raises FloatingPointError when the loss is not finite and MemoryError when a step does not
    fit; both name the step.
    """
    torch.manual_seed(seed)
    budget = settings.training
    model = build(settings, len(dataset.vocabulary))
    model.load_state_dict(start or {}, strict=False)
    model.to(device, memory_format=torch.channels_last).train()
    backbone = features.backbone.to(device)
    optimiser = torch.optim.Adam(parameter_groups(model, backbone, budget), fused=True)
    # What a snapshot holds; a frozen backbone stays as it is.
    learning = nn.ModuleList([model] if backbone.is_frozen else [model, backbone])
    if progress:
        first = progress.restore(learning, optimiser) or first
    stream = batches(dataset, budget.batch, seed, first, budget.grouped, distributed.share())
    for step in range(first, last or budget.steps):
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * learning_rate(step, budget)
        batch = next(stream).to(device)
        with said_in_words(step, batch):
            loss = loss_of(logits_of(model, features, batch), batch.mask)
            optimiser.zero_grad()
            loss.backward()
        gradients = [p.grad for p in learning.parameters() if p.grad is not None]
        loss = loss.detach()
        distributed.mean([loss, *gradients])
        if not loss.isfinite():
            if progress:
                progress.save(step, learning, optimiser)  # the last good state, to look into
            raise FloatingPointError(
                f"The loss is {loss.item()} at step {step} (sentences {batch.sent_id.tolist()}): "
                "lower the learning rate."
            )
        optimiser.step()
        report(step, loss.item())
        if progress:
            progress.log(step, loss.item())
            progress.after(step + 1, learning, optimiser)
    return model.eval()


@contextmanager
def said_in_words(step: int, batch: Batch) -> Iterator[None]:
    """A step that does not fit into memory ends with the settings that help."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"Step {step} with a batch of {len(batch.words)} does not fit into the device's memory:"
            " lower training.batch or data.size, or set training.precision to 'bfloat16'."
        ) from error
