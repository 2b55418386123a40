"""Configs of CropMapping and of U-TAE on several sensors: built, a training step on small files, two learning rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, METRICS, MODELS

from mmsits.engine.config import load_config
from mmsits.engine.weight_transfer import transfer_weights
from mmsits.structures import ImageSeries
from tests.helpers.composites import write_root

CONFIGS = Path(__file__).parents[2] / 'configs'
FOLDER = CONFIGS / 'siamese_unet3d'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
FUSIONS = {'utae-fusion_100e_pastis-r-fold1': ('s1a', 's1d', 's2'), 'utae-fusion_flanders-fold3': ('s1a', 's2')}


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmseg')


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    names = ['a_r00_c00', 'b_r00_c00']
    for split in ('train', 'val', 'test'):
        write_root(folder / 'eurocropmap' / split, names, [211, 500, 100], np.int16)
        write_root(folder / 'isrc' / split / 'maize', names, [1, 0, 255])
    for place in ('eurocropmap', 'isrc'):
        (folder / place / 'regions.csv').write_text('uuid,harvest_date\na,2018-08-01\nb,2018-08-01\n')
    return folder


@pytest.mark.parametrize('name', NAMES)
def test_model_metric_and_classes_go_together(name: str) -> None:
    cfg = load_config(FOLDER / f'{name}.py', dict(load_from=None))
    with torch.device('meta'):
        segmentor = cfg.model.get('segmentor', cfg.model)
        segmentor.data_preprocessor.pop('statistics', None)
        model = MODELS.build(segmentor)
    classes = DATASETS.get(cfg.test_dataloader.dataset.type).METAINFO['classes']
    assert model.decode_head.num_classes == len(classes)
    METRICS.build(cfg.test_evaluator)


def test_the_networks_are_of_the_published_size() -> None:
    with torch.device('meta'):
        pretrained = MODELS.build(load_config(FOLDER / 'siamese-unet3d_11e_eurocropmap.py').model)
        tuned = MODELS.build(load_config(FOLDER / 'siamese-unet3d_5e_isrc.py', dict(load_from=None)).model)
    assert sum(parameter.numel() for parameter in pretrained.parameters()) == 62_134_293
    # The published network keeps the old head, which it does not use.
    old_head = sum(parameter.numel() for parameter in pretrained.decode_head.parameters())
    assert sum(parameter.numel() for parameter in tuned.parameters()) == 62_171_517 - old_head


@pytest.mark.parametrize(
    'name',
    [
        'siamese-unet3d_simulated-eurocropmap',
        'siamese-unet3d_simulated-isrc',
        'siamese-unet3d_5e_isrc_as-published',
    ],
)
def test_a_training_step(name: str, data: Path) -> None:
    place = 'eurocropmap' if 'eurocropmap' in name else 'isrc'
    cfg = load_config(FOLDER / f'{name}.py', dict(data_root=str(data / place), load_from=None))
    cfg.model.backbone.width = 4
    cfg.model.decode_head.in_channels = 8
    # Of two patches of 16×16 pixels a dropped sensor would leave one value per channel, too few for a batch norm.
    cfg.model.backbone.sensor_dropout = 0.0
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    model.init_weights()
    for sensor, bands in model.data_preprocessor.sensors.items():
        if not model.data_preprocessor.has_statistics(sensor):
            model.data_preprocessor.set_statistics(sensor, [0.0] * bands, [1.0] * bands)
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), training=True)
    losses = model(**batch, mode='loss')
    total = sum(value for key, value in losses.items() if 'loss' in key)
    assert torch.isfinite(total)
    total.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_fine_tuning_keeps_the_streams_and_teaches_the_new_head_faster() -> None:
    before = load_config(FOLDER / 'siamese-unet3d_11e_eurocropmap.py')
    after = load_config(FOLDER / 'siamese-unet3d_5e_isrc.py', dict(load_from=None))
    for cfg in (before, after):
        cfg.model.backbone.width = 4
        cfg.model.decode_head.in_channels = 8
    trained, model = MODELS.build(before.model), MODELS.build(after.model)
    transfer = transfer_weights(trained.state_dict(), model.state_dict())
    assert {name.split('.')[0] for name in transfer.new} == {'decode_head'}
    assert set(transfer.loaded) >= {name for name, _ in model.backbone.named_parameters(prefix='backbone')}
    wrapper = build_optim_wrapper(model, after.optim_wrapper)
    rates = {id(group['params'][0]): group['lr'] for group in wrapper.optimizer.param_groups}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(1e-5 if name.startswith('backbone') else 1e-4)


def test_published_numbers_of_epochs_are_counted_by_the_data() -> None:
    for name, epochs in dict(eurocropmap=11, isrc=5).items():
        cfg = load_config(FOLDER / f'siamese-unet3d_{epochs}e_{name}.py', dict(load_from=None))
        assert (cfg.train_cfg.type, cfg.train_cfg.max_epochs) == ('EpochCountedTrainLoop', epochs)
        # An epoch is that of the published training: patches with a crop alone, whole batches of 16.
        assert (cfg.train_dataloader.sampler.type, cfg.train_dataloader.sampler.get('empty_share', 0)) == (
            'AnnotatedSampler',
            0,
        )
        assert (cfg.train_dataloader.batch_size, cfg.train_dataloader.drop_last) == (16, True)


@pytest.mark.parametrize('name', FUSIONS)
@torch.no_grad()
def test_u_tae_of_several_sensors_answers_without_one_of_them(name: str) -> None:
    cfg = load_config(CONFIGS / 'utae' / f'{name}.py')
    assert all(
        tuple(cfg[f'{split}_dataloader'].dataset.sensors) == FUSIONS[name]
        for split in ('train', 'val', 'test')
        if cfg[f'{split}_dataloader'] is not None
    )
    model = MODELS.build(cfg.model).eval()

    def series(bands: int, seen: bool) -> ImageSeries:
        valid = torch.full((1, 3, 1, 1), seen)
        return ImageSeries(torch.randn(1, 3, bands, 16, 16), torch.tensor([[10, 60, 90]], dtype=torch.int32), valid)

    held: dict[str, Any] = dict(model.data_preprocessor.sensors)
    assert sorted(held) == sorted(FUSIONS[name])
    scores = model({sensor: series(bands, sensor != 's1a') for sensor, bands in held.items()})
    assert scores.shape == (1, 20, 16, 16)
    assert scores.isfinite().all()
