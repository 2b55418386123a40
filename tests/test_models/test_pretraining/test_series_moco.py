"""Momentum contrast: what moves, what stays, the queue, and any backbone of the library."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.models import SeriesMoCo
from mmsits.models.pretraining import alignment, gather_inputs, spread, uniformity
from mmsits.structures import ImageSeries

TRANSFORMER = dict(
    type='PixelwiseBackbone',
    in_channels=3,
    encoder=dict(type='PostNormTransformer', embed_channels=(6,), d_model=8, n_head=2, hidden_channels=7, dropout=0.0),
)
BACKBONES = {
    'transformer': TRANSFORMER,
    'stnet': dict(
        type='PixelwiseBackbone',
        in_channels=10,
        encoder=dict(
            type='STNet', embed_channels=(6,), d_model=8, n_head=2, weighting=dict(mean=[0.3] * 10, std=[0.1] * 10)
        ),
    ),
    'pixel set': dict(
        type='PixelSetBackbone',
        in_channels=3,
        mlp1=(6,),
        mlp2=(8,),
        encoder=dict(type='TimeMatchLTAE', in_channels=8, n_head=2, d_k=3, d_model=8, mlp=(8, 6)),
    ),
    'utae': dict(
        type='UTAE',
        in_channels=3,
        encoder_widths=(8, 8),
        decoder_widths=(8, 8),
        str_conv_k=4,
        str_conv_s=2,
        str_conv_p=1,
        n_head=2,
        d_model=8,
        d_k=2,
    ),
}


def build(backbone: str = 'transformer', **options: Any) -> SeriesMoCo:
    torch.manual_seed(0)
    return MODELS.build(dict(type='SeriesMoCo', backbone=BACKBONES[backbone], **dict(dim=5, queue_size=12) | options))


def make_inputs(n: int = 4, t: int = 6, channels: int = 3, size: int = 1, seed: int = 0) -> dict[str, ImageSeries]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, t, channels, size, size, generator=generator)
    days = torch.arange(0, 30 * t, 30).repeat(n, 1)
    valid = torch.rand(n, t, size, size, generator=generator) < 0.8
    valid[:, 0] = True
    return {'s2': ImageSeries(values, days, valid)}


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize(('name', 'channels', 'size'), [('stnet', 10, 1), ('pixel set', 3, 2), ('utae', 3, 8)])
def test_takes_any_backbone(name: str, channels: int, size: int) -> None:
    moco = build(name).train()
    views = {view: dict(inputs=make_inputs(channels=channels, size=size, seed=seed)) for seed, view in enumerate('qk')}
    losses = moco(mode='loss', query=views['q'], key=views['k'])
    losses['loss_contrast'].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in moco.projector.parameters())
    assert any(p.grad is not None and p.grad.any() for p in moco.backbone.parameters())
    assert all(p.grad is None for name, p in moco.named_parameters() if name.startswith('key_'))
    assert moco.eval()(make_inputs(channels=channels, size=size)).shape == (4, moco.projector[0].in_features)


@torch.no_grad()
def test_a_map_is_averaged_over_observed_pixels() -> None:
    moco = build().eval()
    inputs = make_inputs(size=3)
    inputs['s2'].valid[:, :, 0] = False
    maps = moco.backbone(inputs)[0]
    torch.testing.assert_close(moco(inputs), maps[:, :, 1:].mean((2, 3)))


@torch.no_grad()
def test_key_networks_follow_in_training_only() -> None:
    moco = build(momentum=0.75)
    for parameter in moco.backbone.parameters():
        parameter.add_(1.0)
    before = state_of(moco)
    moco.eval().contrast(make_inputs(), make_inputs(seed=1))
    assert all(torch.equal(value, before[name]) for name, value in moco.state_dict().items())
    moco.train().contrast(make_inputs(), make_inputs(seed=1))
    for name, parameter in moco.key_backbone.named_parameters():
        own, new = before[f'key_backbone.{name}'], before[f'backbone.{name}']
        torch.testing.assert_close(parameter, 0.75 * own + 0.25 * new)
    assert moco.queue_pointer.item() == 4
    # As published: evaluation moves them too.
    published = build(momentum=0.75, follow_in_evaluation=True).eval()
    published.contrast(make_inputs(), make_inputs(seed=1))
    assert published.queue_pointer.item() == 4


@torch.no_grad()
def test_the_queue_goes_round_with_any_batch() -> None:
    moco = build(queue_size=7).train()
    taken = []
    for step in range(4):
        before = moco.queue.clone()
        logits = moco.contrast(make_inputs(3, seed=step), make_inputs(3, seed=10 + step))
        queries, keys = moco.latest
        # The queue before this step's keys came in.
        torch.testing.assert_close(logits[:, 1:], queries @ before / 0.07)
        torch.testing.assert_close(logits[:, 0], (queries * keys).sum(1) / 0.07)
        taken += [(3 * step + i) % 7 for i in range(3)]
        torch.testing.assert_close(moco.queue[:, taken[-3:]], keys.T)
    assert moco.queue_pointer.item() == 12 % 7
    torch.testing.assert_close(moco.queue.norm(dim=0), torch.ones(7))


def test_learns_to_tell_samples_apart() -> None:
    moco = build(queue_size=16, momentum=0.9).train()
    optimizer = torch.optim.Adam([p for p in moco.parameters() if p.requires_grad], 1e-2)
    losses = []
    inputs = make_inputs(8)
    for step in range(30):
        noisy = [s._replace(values=s.values + 0.05 * torch.randn(s.values.shape)) for s in (inputs['s2'], inputs['s2'])]
        loss = moco.loss({'s2': noisy[0]}, {'s2': noisy[1]})['loss_contrast']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step >= 3:  # the queue is full of keys by then
            losses.append(loss.item())
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_weights_are_copied_when_initialised() -> None:
    moco = build()
    moco.init_weights()
    for name, value in moco.backbone.state_dict().items():
        assert torch.equal(value, moco.key_backbone.state_dict()[name])


def test_evaluation_on_views_gives_loss_and_accuracy() -> None:
    moco = build().eval()
    inputs = make_inputs()
    with torch.no_grad():
        (result,) = moco(mode='predict', query=dict(inputs=inputs), key=dict(inputs=inputs))
    assert result['count'] == 4
    assert result['accuracy'] == 1.0  # both views are the same, and so are the networks
    assert result['loss'] > 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [(dict(momentum=1.5), 'momentum'), (dict(temperature=0), 'temperature'), (dict(queue_size=0), 'queue_size')],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_what_cannot_be_learnt_from_is_named() -> None:
    moco = build(queue_size=3).train()
    with pytest.raises(ValueError, match=r'lacks query and key .*an ordinary batch'):
        moco(make_inputs(), mode='loss')
    with pytest.raises(ValueError, match='lacks key'):
        moco(mode='loss', query=dict(inputs=make_inputs()))
    with pytest.raises(ValueError, match='enlarge queue_size'):
        moco.contrast(make_inputs(), make_inputs())
    with pytest.raises(ValueError, match='at least'):
        build('utae').train().contrast(make_inputs(), make_inputs())


def test_measures_of_a_representation() -> None:
    torch.manual_seed(0)
    spreadout = nn.functional.normalize(torch.randn(500, 16), dim=1)
    same = spreadout[:1].expand(500, 16)
    assert alignment(spreadout, spreadout) == 0
    assert alignment(spreadout, -spreadout) == pytest.approx(4)
    assert spread(same) < 1e-3
    assert spread(spreadout) == pytest.approx(1, abs=0.05)
    assert uniformity(same) == pytest.approx(0, abs=1e-3)
    assert uniformity(spreadout) < -3


def run_in_two_processes(rank: int, folder: str) -> None:
    """Train a step on half of a batch, of another length in each process."""
    os.environ.update(MASTER_ADDR='127.0.0.1', RANK=str(rank), WORLD_SIZE='2', LOCAL_RANK=str(rank))
    dist.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    try:
        moco = build().train()
        moco.key_backbone.eval()  # batch norms that see other samples would give other keys
        query, key = (_half(make_inputs(8, seed=seed), rank) for seed in (0, 1))
        joined = gather_inputs(key)['s2']
        torch.manual_seed(rank)  # processes need not have the same random numbers
        logits = moco.contrast(query, key)
        # Processes evaluate whatever is left for them, each by itself.
        rest = {'s2': ImageSeries(*(part[: 2 + rank] for part in key['s2']))}
        assert moco.eval().contrast(rest, rest).shape == (2 + rank, 13)
        result = dict(logits=logits.detach(), queue=moco.queue, keys=moco.latest[1], pointer=moco.queue_pointer)
        torch.save(dict(result, joined=tuple(joined)), f'{folder}/{rank}.pt')
    finally:
        dist.destroy_process_group()


def _half(inputs: dict[str, ImageSeries], rank: int) -> dict[str, ImageSeries]:
    rows = slice(4 * rank, 4 * rank + 4)
    # The second process has two dates less.
    return {'s2': ImageSeries(*(part[rows, : 6 - 2 * rank] for part in inputs['s2']))}


def test_processes_agree_on_the_queue(tmp_path: Path) -> None:
    mp.spawn(run_in_two_processes, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f'{rank}.pt') for rank in (0, 1))
    assert torch.equal(first['queue'], second['queue'])
    assert first['pointer'].item() == second['pointer'].item() == 8
    torch.testing.assert_close(first['queue'][:, :8], torch.cat([first['keys'], second['keys']]).T)
    values, _, valid = first['joined']
    assert values.shape == (8, 6, 3, 1, 1)
    assert not valid[4:, 4:].any()
    expected = make_inputs(8, seed=1)['s2']
    expected.valid[4:, 4:] = False
    assert torch.equal(valid, expected.valid)
    assert torch.equal(values[valid[:, :, 0, 0]], expected.values[valid[:, :, 0, 0]])
    # However they were shuffled, every key came back to its sample.
    keys = keys_by_fixed_norms(build(), {'s2': expected})
    torch.testing.assert_close(torch.cat([first['keys'], second['keys']]), keys)


def keys_by_fixed_norms(moco: SeriesMoCo, key: dict[str, ImageSeries]) -> Tensor:
    moco.train().key_backbone.eval()
    moco.contrast(key, key)
    assert moco.latest is not None
    return moco.latest[1]
