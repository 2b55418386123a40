"""Class weights and priors from the training data: filled in before training, kept over a restart."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmseg.registry import MODELS

from mmsits.datasets import class_weights
from mmsits.engine import ClassPriorHook, ClassWeightHook, ConfigError
from tests.helpers.adaptation_batches import adaptor, batch, parcel_segmentor

LABELS = np.uint8([0] * 60 + [1] * 30 + [2] * 10 + [255] * 5)


def _segmentor(loss: dict[str, Any]) -> torch.nn.Module:
    config = parcel_segmentor()
    config['decode_head']['loss_decode'] = loss
    return MODELS.build(config)


def _runner(model: torch.nn.Module, labels: np.ndarray = LABELS, resume: bool = False) -> SimpleNamespace:
    dataloader = SimpleNamespace(dataset=SimpleNamespace(labels=labels), sampler=None)
    logger = MMLogger.get_instance('test_class_count_hooks')
    return SimpleNamespace(model=model, train_dataloader=dataloader, logger=logger, _resume=resume)


@pytest.mark.parametrize(
    'loss',
    [
        dict(type='CrossEntropyLoss', avg_non_ignore=True),
        dict(type='SoftmaxFocalLoss'),
        dict(type='SmoothedCrossEntropyLoss'),
        dict(type='TverskyLoss'),
    ],
    ids=lambda loss: loss['type'],
)
def test_weights_are_filled_in_and_the_loss_trains(loss: dict) -> None:
    model = _segmentor(loss)
    ClassWeightHook(beta=0.9).before_train(_runner(model))
    assert model.decode_head.loss_decode.class_weight == class_weights([60, 30, 10], beta=0.9).tolist()
    data = model.data_preprocessor(batch('parcels', seed=0), training=True)
    data['targets'][0] = 255
    losses = model(**data, mode='loss')
    total = sum(value for key, value in losses.items() if 'loss' in key)
    assert torch.isfinite(total)
    total.backward()


def test_an_adaptors_heads_are_found() -> None:
    model = adaptor('parcels', 'FixMatch')
    runner = _runner(model)
    runner.train_dataloader.dataset = SimpleNamespace(main=SimpleNamespace(labels=LABELS))
    ClassWeightHook('inverse').before_train(runner)
    assert model.segmentor.decode_head.loss_decode.class_weight == class_weights([60, 30, 10], 'inverse').tolist()


def test_the_prior_reaches_the_loss() -> None:
    model = _segmentor(dict(type='LogitAdjustedLoss', loss=dict(type='CrossEntropyLoss', avg_non_ignore=True)))
    ClassPriorHook().before_train(_runner(model))
    torch.testing.assert_close(model.decode_head.loss_decode.log_prior.exp(), torch.tensor([0.6, 0.3, 0.1]))
    data = model.data_preprocessor(batch('parcels', seed=0), training=True)
    assert torch.isfinite(model(**data, mode='loss')['decode.loss_ce'])


@pytest.mark.parametrize('hook', [ClassWeightHook, ClassPriorHook])
def test_a_resumed_run_uses_the_counts_of_its_checkpoint(hook: type) -> None:
    kinds = {
        ClassWeightHook: dict(type='CrossEntropyLoss'),
        ClassPriorHook: dict(type='LogitAdjustedLoss', loss=dict(type='CrossEntropyLoss')),
    }
    first, again = hook(), hook()
    first.before_train(_runner(_segmentor(kinds[hook])))
    checkpoint: dict[str, Any] = {}
    first.before_save_checkpoint(None, checkpoint)
    model = _segmentor(kinds[hook])
    runner = _runner(model, labels=np.uint8([0, 1, 2]), resume=True)
    again.after_load_checkpoint(runner, checkpoint)
    again.before_train(runner)
    assert again.counts.tolist() == [60, 30, 10]


ADJUSTED = dict(type='LogitAdjustedLoss', loss=dict(type='CrossEntropyLoss'))


@pytest.mark.parametrize(
    ('hook', 'loss', 'message'),
    [
        (ClassWeightHook(), ADJUSTED, 'LogitAdjustedLoss has no class_weight'),
        (ClassWeightHook(), dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0, 3.0]), 'already'),
        (ClassPriorHook(), dict(type='CrossEntropyLoss'), 'no head has a loss that takes it'),
    ],
)
def test_losses_that_cannot_take_them_are_named(hook: Any, loss: dict, message: str) -> None:
    runner = _runner(_segmentor(loss))
    with pytest.raises(ConfigError, match=message):
        hook.before_train(runner)
