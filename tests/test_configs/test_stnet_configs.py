"""The configs of SITS-MoCo and STNet are complete: every model, every share of the labels, years and folders."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import HOOKS, MODELS

from mmsits.datasets import DataError
from mmsits.engine import load_config
from mmsits.models import SeriesMoCo
from mmsits.models.temporal_encoders.stnet import STNet

ROOT = Path(__file__).resolve().parents[2] / 'configs'
PRETRAINING = sorted((ROOT / 'sitsmoco').glob('*.py'))
FINETUNING = sorted((ROOT / 'stnet').glob('*.py'))
MODEL_NAMES = ('stnet', 'transformer', 'lstm', 'tempcnn', 'ltae')
TWO_VIEWS = 'ContrastiveViews'


@pytest.mark.parametrize('path', [*PRETRAINING, *FINETUNING], ids=lambda path: path.stem)
def test_model_and_hooks_are_built(path: Path) -> None:
    init_default_scope('mmseg')
    cfg = load_config(path)
    model = MODELS.build(cfg.model)
    for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]:
        HOOKS.build(hook)
    assert isinstance(model, SeriesMoCo) == (path in PRETRAINING)
    if path in PRETRAINING:
        assert cfg.train_dataloader.dataset.type == TWO_VIEWS
        assert cfg.train_dataloader.batch_size <= model.queue.shape[1]
        assert isinstance(model.backbone.encoder, STNet) == ('stnet' in path.stem)
        return
    assert any(hook.type == 'WeightTransferHook' for hook in cfg.custom_hooks)
    percent = path.stem.rpartition('_')[2].removesuffix('pct')
    share = int(percent) / 100 if percent.isdigit() else 1
    parts = [cfg[f'{part}_dataloader'].dataset for part in ('train', 'val', 'test')]
    assert [part.get('label_fraction', 1) for part in parts] == [share, 1, 1]


def test_every_model_and_share_has_a_config() -> None:
    names = {path.stem for path in FINETUNING}
    for model in MODEL_NAMES:
        assert {f'{model}_us-crops{part}' for part in ('', '_1pct', '_5pct', '_10pct')} <= names
        assert {f'{model}_{data}' for data in ('simulated', 'us-toy-s2')} <= names
    assert {f'stnet_simulated_{share}pct' for share in (1, 5, 10)} <= names


def test_year_and_folder_reach_every_dataset() -> None:
    options = {'year': 2020, 'data_root': 'elsewhere', 'test_dataloader.dataset.year': 2021}
    cfg = load_config(ROOT / 'stnet' / 'stnet_us-crops.py', options)
    parts = [cfg[f'{part}_dataloader'].dataset for part in ('train', 'val', 'test')]
    assert [part.year for part in parts] == [2020, 2020, 2021]
    assert [part.split for part in parts] == ['train', 'valid', 'eval']
    assert {part.data_root for part in parts} == {'elsewhere'}
    cfg = load_config(ROOT / 'sitsmoco' / 'moco-v2_transformer_simulated.py', dict(data_root='elsewhere'))
    probe = next(hook for hook in cfg.custom_hooks if hook.type == 'NearestNeighbourProbeHook')
    assert cfg.train_dataloader.dataset.dataset.data_root == 'elsewhere'
    assert {probe.reference.data_root, probe.probed.data_root} == {'elsewhere'}


def test_what_is_pretrained_and_what_is_finetuned_have_the_same_weights() -> None:
    init_default_scope('mmseg')
    for data in ('us-crops', 'simulated', 'us-toy-s2'):
        moco = MODELS.build(load_config(ROOT / 'sitsmoco' / f'moco-v2_transformer_{data}.py').model)
        stnet = MODELS.build(load_config(ROOT / 'stnet' / f'stnet_{data}.py').model)
        shapes = {name: value.shape for name, value in moco.backbone.state_dict().items()}
        own = {name: value.shape for name, value in stnet.backbone.state_dict().items()}
        assert shapes.items() <= own.items()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    init_default_scope('mmseg')
    from mmseg.registry import DATASETS

    cfg = load_config(ROOT / 'stnet' / 'stnet_us-crops.py', dict(data_root=str(tmp_path)))
    with pytest.raises(DataError, match='list of samples is missing'):
        DATASETS.build(cfg.train_dataloader.dataset)
