"""A pixel-set network of a few thousand weights on miniature domains of TimeMatch, trained in some seconds."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mmsits.apis.domains import load_network
from mmsits.datasets import DrawIndex
from mmsits.datasets.inspection import build_dataset
from mmsits.engine import load_config
from mmsits.engine.command_line import run_tool
from tests.helpers.timematch_miniature import write_timematch_miniature

CONFIG = """
_base_ = [{base!r}]
default_scope = 'mmseg'
custom_imports = dict(imports=['mmsits'])
data_root = {data_root!r}
source = 'DK1'
target = 'FR1'
min_parcels = 5
_dataset = dict(
    type='TimeMatchDataset', data_root=data_root, source=source, target=target, min_parcels=min_parcels,
    pipeline=[dict(type='PackSeriesInputs')])
train_dataloader = dict(dataset=dict(role='source', **_dataset))
test_dataloader = dict(dataset=dict(role='target', split='test', **_dataset))
model = dict(
    backbone=dict(
        mlp1=(8, 16), mlp2=(16,),
        encoder=dict(in_channels=16, n_head=4, d_k=4, d_model=32, mlp=(32, 16), dropout=0.0)),
    decode_head=dict(
        in_channels=16, hidden_channels=(8,), num_classes=4,
        loss_decode=dict(_delete_=True, type='CrossEntropyLoss', avg_non_ignore=True)))
"""
BASE = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'models' / 'pse_ltae.py'


def write_parcel_network(folder: Path, shift_days: int = 0, steps: int = 0, parcels: int = 40) -> tuple[Path, Path]:
    """Write two domains, the second with vegetation late by some days, a config, and a checkpoint.

    Args:
        folder: empty.
        shift_days: of the second domain.
        steps: training steps on the first domain.
        parcels: of each domain.

    Returns:
        Config and checkpoint.
    """
    root = write_timematch_miniature(folder / 'data', parcels=parcels, dates=24, seed=1, pixels=(3, 12))
    write_timematch_miniature(
        root, 'france/30TXT/2017', parcels=parcels, dates=24, seed=2, pixels=(3, 12), shift_days=shift_days
    )
    config, checkpoint = folder / 'config.py', folder / 'source.pth'
    config.write_text(CONFIG.format(base=str(BASE), data_root=str(root)))
    cfg = load_config(config)
    dataset = build_dataset(cfg.train_dataloader.dataset)
    dataset.full_init()
    torch.manual_seed(0)
    from mmseg.registry import MODELS

    network = MODELS.build(cfg.model)
    batch = network.data_preprocessor(dataset.__getitems__([DrawIndex(i, i, 0) for i in range(len(dataset))]), True)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        losses = network.loss(batch['inputs'], batch['targets'])
        optimizer.zero_grad()
        losses['decode.loss_ce'].backward()
        optimizer.step()
    torch.save(dict(state_dict=network.state_dict(), meta=dict(dataset_meta=dataset.metainfo)), checkpoint)
    assert load_network(config, checkpoint).meta['classes'] == dataset.metainfo['classes']
    return config, checkpoint


def call(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a tool's main function as its command line does; returns the exit status."""
    monkeypatch.setattr(sys, 'argv', [tool.__name__, *map(str, arguments)])
    monkeypatch.setenv('COLUMNS', '200')
    return run_tool(tool.main, tool.parse_arguments())
