"""Further networks of `test_cfg.test_time.checkpoints`: what they add, and which are refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmseg.registry import MODELS

from mmsits.engine import CheckpointContractHook, CheckpointError, ConfigError, load_ensemble
from mmsits.structures import SampleMeta
from tests.helpers.adaptation_batches import batch, parcel_segmentor

META = dict(bands={'s2': ('B02', 'B03', 'B04', 'B08')}, classes=('a', 'b', 'c'), season_start='01-01')


def _segmentor(seed: int, mean: float = 0.0, std: float = 1.0, **test_time: Any) -> torch.nn.Module:
    config = parcel_segmentor()
    statistics = dict(s2=dict(mean=[mean + 0.1 * band for band in range(4)], std=[std] * 4))
    config['data_preprocessor']['statistics'] = statistics
    torch.manual_seed(seed)
    return MODELS.build({**config, 'test_cfg': dict(mode='whole', test_time=test_time)}).eval()


def _save(path: Path, model: torch.nn.Module, **meta: Any) -> str:
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta={**META, **meta})), path)
    return str(path)


def _probabilities(model: torch.nn.Module, data: dict) -> torch.Tensor:
    return model.val_step(data)[0]['logits'].softmax(1)


def test_probabilities_are_the_mean_of_networks_with_their_own_normalisation(tmp_path: Path) -> None:
    others = [_segmentor(1, mean=0.5, std=2.0), _segmentor(2, mean=-1.0, std=0.5)]
    paths = [_save(tmp_path / f'{number}.pth', other) for number, other in enumerate(others)]
    model = _segmentor(0, checkpoints=paths)
    assert load_ensemble(model, {'test': META}) == 2
    assert load_ensemble(model, {'test': META}) == 0
    data = batch('parcels', seed=0)
    expected = sum(_probabilities(network, data) for network in (_segmentor(0), *others)) / 3
    torch.testing.assert_close(_probabilities(model, data), expected)
    assert set(model.state_dict()) == set(others[0].state_dict())


def test_statistics_that_samples_bring_hold_for_all(tmp_path: Path) -> None:
    other = _segmentor(1, mean=0.5, std=2.0)
    model = _segmentor(0, checkpoints=[_save(tmp_path / 'other.pth', other)])
    load_ensemble(model, {})
    data = batch('parcels', seed=0)
    own = dict(s2=dict(mean=[1.0] * 4, std=[3.0] * 4))
    data['metas'] = [SampleMeta(season_start=17000, statistics=own) for _ in data['metas']]
    expected = (_probabilities(_segmentor(0), data) + _probabilities(other, data)) / 2
    torch.testing.assert_close(_probabilities(model, data), expected)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(classes=('a', 'c', 'b')), r'other\.pth.*classes: '),
        (dict(bands={'s2': ('B04', 'B03', 'B02', 'B08')}), 'bands of s2'),
        (dict(season_start='09-01'), 'season_start'),
    ],
)
def test_networks_of_other_data_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    model = _segmentor(0, checkpoints=[_save(tmp_path / 'other.pth', _segmentor(1), **change)])
    with pytest.raises(CheckpointError, match=message):
        load_ensemble(model, {'test': META})
    model.dataset_meta = META
    with pytest.raises(CheckpointError, match=message):
        load_ensemble(model)


def test_other_networks_and_missing_files_are_refused(tmp_path: Path) -> None:
    state = _segmentor(1).state_dict()
    del state[next(key for key in state if key.startswith('backbone'))]
    torch.save(dict(state_dict=state), tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match='1 missing in the checkpoint'):
        load_ensemble(_segmentor(0, checkpoints=[str(tmp_path / 'part.pth')]), {})
    with pytest.raises(ConfigError, match='no weights'):
        load_ensemble(_segmentor(0, checkpoints=[str(tmp_path / 'none.pth')]), {})


@pytest.mark.parametrize('role', ['student', 'teacher'])
def test_of_an_adaptor_the_part_that_predicts_is_taken(tmp_path: Path, role: str) -> None:
    def build(seed: int, **test_time: Any) -> torch.nn.Module:
        segmentor = {**parcel_segmentor(), 'test_cfg': dict(mode='whole', test_time=test_time)}
        torch.manual_seed(seed)
        model = MODELS.build(
            dict(type='DomainAdaptor', segmentor=segmentor, method=dict(type='FixMatch'), predict_with=role)
        )
        for parameter in model.teacher.parameters():
            parameter.data.add_(0.01 * torch.randn_like(parameter))
        return model.eval()

    other = build(1)
    model = build(0, checkpoints=[_save(tmp_path / 'other.pth', other)])
    load_ensemble(model, {})
    data = batch('parcels', seed=0, labels=False)
    expected = (_probabilities(build(0), data) + _probabilities(other, data)) / 2
    torch.testing.assert_close(_probabilities(model, data), expected)


def test_the_contract_hook_reads_them_before_validation_and_test(tmp_path: Path) -> None:
    for stage in ('before_val', 'before_test'):
        model = _segmentor(0, checkpoints=[_save(tmp_path / 'other.pth', _segmentor(1))])
        runner = SimpleNamespace(model=model, _train_loop=None, _val_loop=None, _test_loop=None)
        getattr(CheckpointContractHook(), stage)(runner)
        assert len(model.averaging.members) == 1
