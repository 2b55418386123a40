"""Hooks and metric of masked pre-training."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmsits.engine import ConfigError, MaskRatioHook, ReconstructionDrawingHook
from mmsits.engine.hooks.dataset_contract_hook import bind_bands
from mmsits.evaluation import ReconstructionMetric
from mmsits.structures import ImageSeries, SampleMeta

init_default_scope('mmseg')

STATISTICS = dict(s2=dict(mean=[100.0] * 3, std=[50.0] * 3))
BANDS = {'s2': ('B02', 'B04', 'B08')}


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    backbone = dict(type='STCLN', in_channels=3, widths=(4, 8), num_heads=2, norm_groups=2, day_repeats=2, num_layers=1)
    preprocessor = dict(type='SeriesDataPreprocessor', sensors=dict(s2=3), statistics=STATISTICS)
    return MODELS.build(
        dict(type='MaskedSeriesModel', backbone=backbone, data_preprocessor=preprocessor, **options)
    ).train()


def loaded_batch(samples: int = 3) -> dict[str, Any]:
    """As the loader hands it over: lists of tensors."""
    generator = torch.Generator().manual_seed(0)
    start = 17897  # 2019-01-01
    series = ImageSeries(
        [torch.rand(5, 3, 8, 8, generator=generator) * 200 for _ in range(samples)],
        [torch.arange(5, dtype=torch.int32) * 30 + start for _ in range(samples)],
        [torch.ones(5, 1, 1, dtype=torch.bool) for _ in range(samples)],
    )
    metas = [SampleMeta(sample_id=f'patch/{i}', season_start=start) for i in range(samples)]
    return {'inputs': {'s2': series}, 'metas': metas}


def runner_of(model: Any, work_dir: Any = '.', iteration: int = 0, max_iters: int = 10) -> Any:
    dataset = SimpleNamespace(metainfo=dict(bands=BANDS, units={'s2': 'reflectance x 10000'}))
    return SimpleNamespace(
        model=model,
        iter=iteration,
        max_iters=max_iters,
        work_dir=str(work_dir),
        message_hub=MessageHub.get_instance('test_masking_hooks'),
        train_dataloader=SimpleNamespace(dataset=dataset),
    )


def test_the_ratio_is_a_function_of_the_iteration() -> None:
    model, hook = build(), MaskRatioHook(begin=0.2, end=0.6)
    hook.before_train(runner_of(model))
    ratios = []
    for iteration in (0, 5, 9):
        hook.before_train_iter(runner_of(model, iteration=iteration, max_iters=10), iteration)
        ratios.append(model.mask.ratio)
    assert ratios[0] == 0.2
    assert ratios[2] == pytest.approx(0.6)
    assert 0.2 < ratios[1] < 0.6
    assert MaskRatioHook(0.5, 0.1, until=4).ratio_at(7, 100) == pytest.approx(0.1)


@pytest.mark.parametrize(
    'options', [dict(begin=0, end=0.5), dict(begin=0.5, end=1.0), dict(begin=0.1, end=0.2, until=0)]
)
def test_ratios_that_cannot_be_are_refused(options: dict) -> None:
    with pytest.raises(ConfigError, match='MaskRatioHook'):
        MaskRatioHook(**options)


@pytest.mark.parametrize('hook', [MaskRatioHook(0.1, 0.2), ReconstructionDrawingHook()])
def test_other_models_are_refused(hook: Any) -> None:
    with pytest.raises(ConfigError, match='MaskedSeriesModel'):
        hook.before_train(runner_of(torch.nn.Linear(1, 1)))


def test_reconstructions_are_drawn_and_leave_the_training_alone(tmp_path: Any) -> None:
    model = build()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    hook = ReconstructionDrawingHook(interval=4, max_pictures=2, max_dates=3)
    for iteration in range(6):
        hook.after_train_iter(runner_of(model, tmp_path, max_iters=6), iteration, loaded_batch())
    names = sorted(path.name for path in (tmp_path / 'pictures' / 'reconstruction').iterdir())
    assert names == ['patch_0_s2_4.png', 'patch_0_s2_6.png', 'patch_1_s2_4.png', 'patch_1_s2_6.png']
    assert (tmp_path / 'pictures' / 'reconstruction' / names[0]).read_bytes().startswith(b'\x89PNG')
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_bands_of_the_gate_are_looked_up_in_the_dataset() -> None:
    model = build(vegetation_gate=dict(red='B04', nir='B08'))
    bind_bands(model, dict(bands=BANDS))
    batch = model.data_preprocessor(loaded_batch())
    assert model(batch['inputs'], mode='loss')['loss_s2'] >= 0
    with pytest.raises(ConfigError, match='B08'):
        bind_bands(model, dict(bands={'s2': ('B02', 'B03', 'B04')}))


def test_the_metric_is_the_mean_over_all_hidden_values() -> None:
    metric = ReconstructionMetric()
    metric.process(None, [dict(errors=dict(s2=(6.0, 3.0), s1=(1.0, 1.0)))])
    metric.process(None, [dict(errors=dict(s2=(2.0, 5.0), s1=(0.0, 0.0)))])
    scores = metric.compute_metrics(metric.results)
    assert scores == {'reconstruction_mse': 1.0, 'reconstruction_mse/s1': 1.0, 'reconstruction_mse/s2': 1.0}
    empty = ReconstructionMetric()
    empty.process(None, [dict(errors=dict(s2=(0.0, 0.0)))])
    assert math.isnan(empty.compute_metrics(empty.results)['reconstruction_mse'])
