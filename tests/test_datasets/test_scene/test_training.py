"""Dense, parcel and pixel models train on one folder; the config's key `samples` chooses which."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmsits.engine import load_config
from tests.helpers.field_files import write_scene

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
CONFIG = """
_base_ = [{model!r}, {datasets!r}, {runtime!r}]
data_root = {root!r}
work_dir = {work!r}
samples = {samples!r}
sensors = dict(
    s2=dict(folder='s2', unit='reflectance x 10000', scale=1, offset=0, clouds=dict(folder='s2_clouds', dilation=1)))
labels = dict(file='fields.gpkg', column='crop', inner_buffer=1)
splits = dict(type='blocks', size=100, shares=dict(train=0.6, val=0.15, test=0.25), seed=1)
window_size = 20
train_dataloader = dict(batch_size=6, num_workers=0, persistent_workers=False, dataset=dict(cache={work!r}))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(cache={work!r}))
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(cache={work!r}))
train_cfg = dict(type='IterBasedTrainLoop', max_iters={iters}, val_interval={iters})
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.01))
default_hooks = dict(checkpoint=dict(interval={iters}), logger=dict(interval=1))
randomness = dict(seed=0)
{extra}
"""
UTAE = """
model = dict(
    data_preprocessor=dict(sensors=dict(s2=4)),
    backbone=dict(
        in_channels=4, encoder_widths=(8, 8), decoder_widths=(8, 8), str_conv_k=4, n_head=2, d_model=8, d_k=2),
    decode_head=dict(in_channels=8, channels=8, num_classes=3))
"""
PSE_LTAE = """
model = dict(
    data_preprocessor=dict(sensors=dict(s2=4), statistics=None),
    backbone=dict(
        in_channels=4, mlp1=(8, 16), mlp2=(16,),
        encoder=dict(in_channels=16, n_head=2, d_k=4, d_model=16, mlp=(16, 16), dropout=0.0)),
    decode_head=dict(in_channels=16, hidden_channels=(8,), num_classes=3))
_pipeline = [dict(type='SamplePixels', num_pixels=10), dict(type='PackSeriesInputs')]
train_dataloader['dataset']['pipeline'] = _pipeline
"""
PIXELS = """
model = dict(
    data_preprocessor=dict(sensors=dict(s2=4), statistics=None),
    backbone=dict(_delete_=True, type='PixelwiseBackbone', in_channels=4,
        encoder=dict(type='{encoder}', in_channels=8, {options})),
    decode_head=dict(in_channels={width}, hidden_channels=(8,), num_classes=3))
train_dataloader['dataset']['pipeline'] = [dict(type='PackSeriesInputs')]
"""
LTAE = PIXELS.format(encoder='LTAE', options='n_head=2, d_k=4, d_model=8, mlp=(8, 16)', width=16)
GRU = PIXELS.format(encoder='SeriesGRU', options='hidden_channels=12', width=12)


def train(tmp_path, samples, model, extra, iters=3):
    root = write_scene(tmp_path / 'scene')
    parts = dict(
        model=str(CONFIGS / '_base_/models' / model),
        datasets=str(CONFIGS / '_base_/datasets/scene.py'),
        runtime=str(CONFIGS / '_base_/default_runtime.py'),
        root=str(root),
        work=str(tmp_path / 'work'),
    )
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(**parts, samples=samples, iters=iters, extra=extra))
    runner = Runner.from_cfg(load_config(path))
    runner.train()
    return runner, runner.test()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('samples', 'model', 'extra'),
    [
        ('windows', 'utae.py', UTAE),
        ('parcels', 'pse_ltae.py', PSE_LTAE),
        ('pixels', 'pse_ltae.py', LTAE),
        ('pixels', 'pse_ltae.py', GRU),
        # A network of single pixels is a dense one too.
        ('windows', 'pse_ltae.py', LTAE),
    ],
)
def test_every_kind_of_model_trains_on_one_folder(tmp_path, samples, model, extra):
    runner, scores = train(tmp_path, samples, model, extra)
    assert runner.iter == 3
    assert all(math.isfinite(value) for value in scores.values() if isinstance(value, float))
    assert runner.model.data_preprocessor.has_statistics('s2')
    assert all(torch.isfinite(value).all() for value in runner.model.parameters())
    assert runner.test_dataloader.dataset.metainfo['classes'] == ('grass', 'maize', 'wheat')


@pytest.mark.slow
def test_a_parcel_model_learns_the_crops(tmp_path):
    _, scores = train(tmp_path, 'parcels', 'pse_ltae.py', PSE_LTAE, iters=60)
    assert scores['macro_F1'] > 0.9
