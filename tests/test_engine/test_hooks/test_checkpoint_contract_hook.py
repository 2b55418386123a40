from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn

from mmsits.engine import CheckpointContractHook, CheckpointError, ConfigError
from mmsits.engine.hooks.checkpoint_contract_hook import compare_metainfo, compare_weights

META = dict(
    bands={'s2': ('B04', 'B08')}, units={'s2': 'reflectance x 10000'}, classes=('wheat', 'maize'), season_start='09-01'
)


def _network(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 1), nn.BatchNorm2d(width))


def test_own_weights_fit_with_and_without_wrapper_and_counter() -> None:
    weights = _network().state_dict()
    assert compare_weights(_network().state_dict(), weights) == ''
    wrapped = {f'module.{key}': value for key, value in weights.items()}
    assert compare_weights(_network().state_dict(), wrapped) == ''
    del weights['1.num_batches_tracked']
    assert compare_weights(_network().state_dict(), weights) == ''


def test_missing_unexpected_and_reshaped_weights_are_listed_with_counts() -> None:
    model = {f'encoder.{i}': torch.ones(1) for i in range(8)} | {'head': torch.ones(2, 3)}
    message = compare_weights(model, {'head': torch.ones(4, 3), 'decoder': torch.ones(1)})
    assert '8 missing in the checkpoint (encoder.0, encoder.1, encoder.2, encoder.3, encoder.4 and 3 more)' in message
    assert '1 not in the model (decoder)' in message
    assert '1 of another shape (head (4, 3) instead of (2, 3))' in message
    assert "on_mismatch='warn'" in message


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (dict(bands={'s2': ('B08', 'B04')}), "bands of s2: ['B04', 'B08'] in the checkpoint, ['B08', 'B04']"),
        (dict(bands={'s1': ('VV',)}), "bands of s1: None in the checkpoint, ['VV'] in the test data"),
        (dict(units={'s2': 'reflectance'}), 'units of s2: reflectance x 10000 in the checkpoint, reflectance'),
        (dict(classes=('maize', 'wheat')), "classes: ['wheat', 'maize'] in the checkpoint, ['maize', 'wheat']"),
        (dict(season_start='01-01'), 'season_start: 09-01 in the checkpoint, 01-01'),
    ],
)
def test_differing_data_are_named(change: dict, expected: str) -> None:
    assert expected in compare_metainfo(META, {**META, **change}, 'test')


def test_what_is_not_known_is_not_compared() -> None:
    assert compare_metainfo(META, {**META, 'bands': {'s2': ['B04', 'B08']}, 'statistics': 1}) == ''
    assert compare_metainfo({}, META) == ''


def _runner(resume: bool) -> SimpleNamespace:
    logger = MMLogger.get_instance('test_checkpoint_contract_hook')
    loops = dict(_train_loop=None, _val_loop=None, _test_loop=dict(type='TestLoop'))
    return SimpleNamespace(model=_network(), _resume=resume, logger=logger, **loops)


def test_partial_match_is_allowed_for_fine_tuning_never_for_resuming() -> None:
    other = {'meta': {}, 'state_dict': _network(6).state_dict(), 'optimizer': {}}
    with pytest.raises(CheckpointError, match='another network'):
        CheckpointContractHook().after_load_checkpoint(_runner(False), other)
    CheckpointContractHook('warn').after_load_checkpoint(_runner(False), other)
    with pytest.raises(CheckpointError, match='another network'):
        CheckpointContractHook('warn').after_load_checkpoint(_runner(True), other)
    with pytest.raises(ConfigError, match='on_mismatch'):
        CheckpointContractHook('ignore')


def test_weights_without_optimizer_are_no_checkpoint_to_resume_from() -> None:
    best = {'meta': {}, 'state_dict': _network().state_dict()}
    CheckpointContractHook().after_load_checkpoint(_runner(False), best)
    with pytest.raises(CheckpointError, match=r'no optimizer state.*iter_\*\.pth'):
        CheckpointContractHook().after_load_checkpoint(_runner(True), best)
