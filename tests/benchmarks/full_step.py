"""One whole training step, frozen backbone included, on noise in the shapes of a profile."""

from dataclasses import replace

import torch

from tvnet.data.dataset import Batch
from tvnet.model.pretrained import load_backbone
from tvnet.model.tvnet import TVNet
from tvnet.settings import Settings
from tvnet.training.loop import logits_of, loss_of, parameter_groups

WORDS = 12112


class BothPictures:
    """The backbone's maps of a batch, both branches in one pass."""

    def __init__(self, chosen: Settings, device: str, layout: torch.memory_format):
        weights = replace(chosen.backbone, weights="random")
        self.backbone = load_backbone(weights).to(device, memory_format=layout)

    def __call__(self, batch: Batch):
        maps = self.backbone(torch.cat([batch.image, batch.similar]))
        V_in = {name: V[: len(V) // 2] for name, V in maps.items()}
        V_sim = {name: V[len(V) // 2 :] for name, V in maps.items()}
        return V_in, V_sim, torch.ones_like(V_in["V3"][:, 0], dtype=torch.bool)


def random_batch(chosen: Settings, size: int, device: str) -> Batch:
    """Noise in the shapes of `size` sentences."""
    side, T = chosen.data.size, chosen.data.max_words
    image, similar = torch.randint(0, 256, (2, size, 3, side, side), dtype=torch.uint8)
    ids = torch.arange(size)
    return Batch(
        words=torch.randint(4, WORDS, (size, T)),
        lengths=torch.randint(2, T + 1, (size,)),
        mask=torch.rand(size, 1, side, side) > 0.9,
        sent_id=ids, ref_id=ids, ann_id=ids, image_id=ids, similar_id=ids,
        image=image, similar=similar,
    ).to(device)  # fmt: skip


def step(
    profile: Settings,
    size: int,
    precision: str,
    device: str,
    compiled: bool = False,
    layout: torch.memory_format = torch.channels_last,
):
    """A closure that makes one whole training step on a batch that stays in place."""
    training = replace(profile.training, precision=precision, batch=size)
    chosen = replace(profile, training=training)
    torch.manual_seed(0)
    features, batch = BothPictures(chosen, device, layout), random_batch(chosen, size, device)
    model = TVNet(chosen, WORDS).to(device, memory_format=layout)
    groups = parameter_groups(model, features.backbone, training)
    optimiser = torch.optim.Adam(groups, lr=1e-5, fused=True, capturable=device == "cuda")
    if compiled:
        model.compile()
        features.backbone.compile()

    def run() -> torch.Tensor:
        loss = loss_of(logits_of(model, features, batch), batch.mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.detach()

    return run
