"""The training loop: Adam, polynomial decay, cross-entropy summed over pixels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tvnet import process_group
from tvnet.data.dataset import Batch, ReferDataset, collate
from tvnet.data.word_kinds import word_kinds
from tvnet.data.words import UNK
from tvnet.model.blocks import WordLoop
from tvnet.model.method import Maps, Method, build
from tvnet.settings import Settings, TrainingSettings
from tvnet.training.checkpoint import Checkpoints
from tvnet.training.features import CachedFeatures, LiveFeatures


def share_equally(size: int, world: int) -> None:
    """Raises ValueError when `world` processes cannot take as many of `size` sentences each."""
    if size % world:
        raise ValueError(
            f"A batch of {size} cannot be shared by {world} processes: set training.batch to a "
            f"multiple of {world}."
        )


def batches(
    dataset: ReferDataset,
    size: int,
    seed: int,
    first: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """The batches of steps first, first + 1, ...: a pure function of seed and step.

    Every epoch has a fresh, random order (D42); sentences that do not fill a last batch wait for
    the next one. Fewer sentences than a batch are a batch.
    share = (rank, world): of each batch, this process takes every world-th sentence. Raises
    ValueError when the batch cannot be shared equally.
    """
    rank, world = share
    size = min(size, len(dataset))
    share_equally(size, world)
    per_epoch = len(dataset) // size
    epoch, order = -1, np.empty(0)
    for step in count(first):
        if epoch != step // per_epoch:
            epoch = step // per_epoch
            dice = np.random.Generator(np.random.Philox(key=[seed, epoch]))
            order = dice.permutation(len(dataset))  # D42
        start = step % per_epoch * size
        yield collate([dataset[int(i)] for i in order[start : start + size][rank::world]])


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


def loss_of(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy summed over the pixels, averaged over the batch (D24); no other (D25).

    The sum matters: against a mean the same weight decay would weigh S * S times more.
    """
    target = mask.to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(logits)


def ablate_input(batch: Batch, V_in: Maps, control: str) -> tuple[Maps, Tensor, Tensor]:
    """The inputs of a control that sees no words or no image; else the batch's own (Table 1)."""
    words, lengths = batch.words, batch.lengths
    if control == "language":
        words, lengths = torch.full_like(words, UNK), torch.ones_like(lengths)
    elif control == "image":
        V_in = {name: torch.zeros_like(V) for name, V in V_in.items()}
    return V_in, words, lengths


def logits_of(model: Method, features: CachedFeatures | LiveFeatures, batch: Batch) -> Tensor:
    """Mask logits (B, 1, S, S) of a batch in float32, computed in the settings' precision (D37)."""
    settings = model.settings.training
    low = settings.precision == "bfloat16"
    with torch.autocast(batch.words.device.type, torch.bfloat16, enabled=low):
        V_in, V_sim, valid = features(batch)
        V_in, words, lengths = ablate_input(batch, V_in, settings.ablate_input)
        return model(V_in, V_sim, words, lengths, valid)


def train(
    settings: Settings,
    dataset: ReferDataset,
    features: CachedFeatures | LiveFeatures,
    seed: int,
    word_rows: Tensor | None = None,
    last: int | None = None,
    device: str = "cpu",
    checkpoints: Checkpoints | None = None,
    validate: Callable[[Method], float] | None = None,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Method:
    """One training run; the model to report (D30), in eval mode.

    word_rows: GloVe's (words, d_words), to begin with. last: the step at which to end, by default
    the settings'. checkpoints: the run is resumed from the newest and saves new ones. validate: the
    IoU of the held-out split, computed every `eval_every` steps (D30). report: called with step and
    loss after each step. Several processes (process_group.py) share each batch and average their
    gradients. Raises FloatingPointError when the loss or its gradient is not finite, and
    MemoryError when a step does not fit; both name the step.
    """
    torch.manual_seed(seed)
    budget, checkpoints = settings.training, checkpoints or Checkpoints()
    model, learning, optimiser = learner(settings, dataset, features, word_rows, device)
    first, last = checkpoints.restore(learning, optimiser) or 0, last or budget.steps
    process_group.same_step(first)
    stream = batches(dataset, budget.batch, seed, first, process_group.rank_and_size())
    forward = compiled(model) if budget.compile else model
    for step in range(first, last):
        for group in optimiser.param_groups:
            group["lr"] = group["rate"] * learning_rate(step, budget)
        batch = next(stream).to(device)
        with explain_failure(step, batch):
            loss = loss_of(logits_of(forward, features, batch), batch.mask)
            optimiser.zero_grad()
            loss.backward()
            gradients = [p.grad for p in learning.parameters() if p.grad is not None]
            loss = loss.detach()
            process_group.mean([loss, *gradients])
            length = torch.nn.utils.get_total_norm(gradients)
            if not (loss + length).isfinite():  # the same command makes this very step again
                checkpoints.save(step, learning, optimiser)
                raise FloatingPointError(
                    f"The loss is {loss.item()}, the length of its gradient {length.item()} at "
                    f"step {step} (sentences {batch.sent_id.tolist()}): lower the learning rate."
                )
            optimiser.step()
        checkpoints.log(step, loss.item())
        report(step, loss.item())
        if validate and budget.is_validation(step + 1, last):
            checkpoints.validated(step + 1, validate(model), learning)
            model.train()
        checkpoints.after(step + 1, last, learning, optimiser)
    if validate and budget.reported == "best":
        learning.load_state_dict(checkpoints.best)
    return model.eval()


def learner(
    settings: Settings,
    dataset: ReferDataset,
    features: CachedFeatures | LiveFeatures,
    word_rows: Tensor | None,
    device: str,
) -> tuple[Method, nn.ModuleList, torch.optim.Optimizer]:
    """A fresh model in train mode, all that a checkpoint of it holds, and its optimiser (D36)."""
    model = build(settings, len(dataset.vocabulary))
    model.take_kinds(word_kinds(dataset.vocabulary.words))
    rows = model.expression.embedding.weight
    with torch.no_grad():
        if word_rows is not None:
            rows.copy_(word_rows)
        # No text of the training split has it: it would stay what is drawn.
        rows[UNK] = rows[UNK + 1 :].mean(0)  # D47
    model.to(device, memory_format=torch.channels_last).train()
    backbone = features.backbone.to(device)
    groups = parameter_groups(model, backbone, settings.training)
    # A frozen backbone stays as it is and needs no place in a checkpoint.
    learning = nn.ModuleList([model] if backbone.is_frozen else [model, backbone])
    return model, learning, torch.optim.Adam(groups, fused=True)


def compiled(model: Method) -> Method:
    """The same weights, many small operations fused into few, loops over words left out (D37)."""
    if not any(map(shutil.which, ("g++", "clang++", "c++", "cl"))):
        raise ValueError(
            "training.compile is on and no C++ compiler was found: install g++ or clang++, or set "
            "training.compile=false, which takes about twice as long."
        )
    for part in model.modules():
        if isinstance(part, WordLoop):
            part.forward = torch.compiler.disable(part.forward, recursive=False)
    return torch.compile(model)


@contextmanager
def explain_failure(step: int, batch: Batch) -> Iterator[None]:
    """A step that does not fit into memory, or cannot be compiled, ends with what helps."""
    try:
        yield
    except RuntimeError as error:
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            what = " ".join(str(error).splitlines()[:2])
            raise ValueError(
                f"torch.compile failed at step {step} ({what}): set training.compile=false, which "
                "takes about twice as long."
            ) from error
        # Of a CPU that has no memory left, torch knows no kind of its own.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate" not in str(error):
            raise
        raise MemoryError(
            f"Step {step} with a batch of {len(batch.words)} does not fit into the device's memory:"
            " lower training.batch or data.size, or set training.precision to 'bfloat16'."
        ) from error
