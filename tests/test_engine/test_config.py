from pathlib import Path

import pytest
from mmengine.config import Config

import mmsits  # noqa: F401
from mmsits.engine import ConfigError, load_config, prepare_config
from mmsits.engine.config import check_keys, hand_on

SPLITS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
ROOT = Path(__file__).resolve().parents[2]


def test_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'optim_wraper'.*did you mean 'optim_wrapper'"):
        check_keys({'model': {}, 'optim_wraper': {}})
    with pytest.raises(ConfigError, match=r"begin its name with an underscore \('_zzz'\)"):
        check_keys({'zzz': 1})


def test_misspelt_hook_is_refused_with_the_nearest_known_one() -> None:
    hooks = dict(checkpoint=dict(type='SeriesCheckpointHook'), logger=None)
    check_keys({'default_hooks': hooks})
    with pytest.raises(ConfigError, match=r"default_hooks has 'checkpont'.*did you mean 'checkpoint'"):
        check_keys({'default_hooks': {**hooks, 'checkpont': dict(interval=3)}})


def test_variables_and_private_names_are_allowed() -> None:
    check_keys({'model': {}, 'data_root': '', 'fold': 1, '_anything': 1, 'weak_pipeline': [], 'dataset_type': 'X'})


def test_every_base_runtime_and_schedule_has_known_keys_only() -> None:
    files = [ROOT / 'configs/_base_/default_runtime.py', *(ROOT / 'configs/_base_/schedules').glob('*.py')]
    assert len(files) >= 4
    for file in files:
        load_config(file)


def test_root_and_fold_reach_every_dataset() -> None:
    inner = dict(type='PASTISDataset', data_root='old', split='train', fold=1)
    cfg = Config(
        dict(
            default_scope='mmseg',
            data_root='new',
            fold=3,
            train_dataloader=dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict(inner))),
            val_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[dict(inner), dict(inner)])),
            test_dataloader=dict(dataset=dict(source=dict(inner), target=dict(type='PASTISDataset'))),
        )
    )
    hand_on(cfg, dict(data_root=['old'], fold=[1]))
    reached = [
        cfg.train_dataloader.dataset.dataset,
        *cfg.val_dataloader.dataset.datasets,
        cfg.test_dataloader.dataset.source,
        cfg.test_dataloader.dataset.target,
    ]
    assert [(each.data_root, each.fold) for each in reached] == [('new', 3)] * 5
    assert 'data_root' not in cfg.train_dataloader.dataset


def test_fold_goes_only_to_datasets_that_take_it() -> None:
    cfg = Config(dict(fold=2, train_dataloader=dict(dataset=dict(type='BaseSegDataset'))))
    hand_on(cfg, dict(fold=[2]))
    assert 'fold' not in cfg.train_dataloader.dataset


def test_override_on_the_command_line_reaches_the_datasets(tmp_path: Path) -> None:
    path = tmp_path / 'c.py'
    path.write_text(
        "data_root = 'a'\ntrain_dataloader = dict(dataset=dict(type='PASTISDataset', data_root=data_root))\n"
    )
    assert load_config(path, {'data_root': 'b'}).train_dataloader.dataset.data_root == 'b'
    with pytest.raises(ConfigError, match='there is no config'):
        load_config(tmp_path / 'absent.py')


def test_a_dataset_keeps_a_root_and_fold_of_its_own(tmp_path: Path) -> None:
    base, child = tmp_path / 'base.py', tmp_path / 'child.py'
    loader = "_dataloader = dict(dataset=dict(type='PASTISDataset', data_root=data_root, fold=fold))\n"
    base.write_text(f"data_root = 'a'\nfold = 1\ntrain{loader}val{loader}test{loader}")
    child.write_text(
        "_base_ = './base.py'\ndata_root = 'b'\ntest_dataloader = dict(dataset=dict(data_root='elsewhere'))\n"
    )
    cfg = load_config(child, {'fold': 4, 'val_dataloader.dataset.fold': 1})
    found = [(loader.dataset.data_root, loader.dataset.fold) for loader in map(cfg.get, SPLITS)]
    assert found == [('b', 4), ('b', 1), ('elsewhere', 4)]


def test_work_dir_seed_and_resume_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    path = tmp_path / 'utae_pastis.py'
    weights = tmp_path / 'weights.pth'
    weights.touch()
    path.write_text(f"model = dict(type='X')\nload_from = {str(weights)!r}\n")
    said: list[str] = []
    monkeypatch.setattr('mmsits.engine.config.print_log', lambda message, *_: said.append(message))
    cfg = prepare_config(load_config(path), seed=7, resume='auto')
    assert cfg.work_dir == 'work_dirs/utae_pastis'
    assert cfg.randomness == dict(seed=7, deterministic=True)
    # Nothing to resume from: the run starts, from the weights that the config names.
    assert cfg.resume is False
    assert cfg.load_from == str(weights)
    assert said == [
        'There is no checkpoint in work_dirs/utae_pastis to resume from: the run starts from the beginning.'
    ]
    with pytest.raises(ConfigError, match='there is no checkpoint'):
        prepare_config(load_config(path), resume=str(tmp_path / 'absent.pth'))


def test_processes_without_gpu_need_the_pytorch_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    path = tmp_path / 'c.py'
    path.write_text("model = dict(type='X')\n")
    with pytest.raises(ConfigError, match='slurm needs GPUs'):
        prepare_config(load_config(path), launcher='slurm')


def test_weights_to_start_from_may_be_named_by_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / 'c.py'
    path.write_text(f"model = dict(type='X')\nload_from = {str(tmp_path / 'best_*.pth')!r}\n")
    with pytest.raises(ConfigError, match=r'there are no weights .*Train them first'):
        prepare_config(load_config(path))
    (tmp_path / 'best_macro_F1_iter_7.pth').touch()
    assert prepare_config(load_config(path)).load_from.endswith('best_macro_F1_iter_7.pth')
    (tmp_path / 'best_mIoU_iter_9.pth').touch()
    with pytest.raises(ConfigError, match='stands for 2 files'):
        prepare_config(load_config(path))


def test_a_scene_described_at_the_top_level_reaches_its_datasets(tmp_path: Path) -> None:
    path = tmp_path / 'my_scene.py'
    path.write_text(
        f"_base_ = ['{ROOT}/configs/own_data/utae_scene.py']\n"
        "data_root = 'mine'\n"
        "sensors = dict(s2=dict(folder='s2', bands=('B04', 'B08')))\n"
        "labels = dict(file='fields.gpkg', column='crop')\n"
        "val_dataloader = dict(dataset=dict(labels=dict(file='other.gpkg')))\n"
    )
    cfg = load_config(path, {'samples': 'pixels', 'labels.inner_buffer': 10})
    for name in ('train', 'test'):
        dataset = cfg[f'{name}_dataloader'].dataset
        assert (dataset.data_root, dataset.samples, dataset.split) == ('mine', 'pixels', name)
        assert dataset.sensors == dict(s2=dict(folder='s2', bands=('B04', 'B08')))
        assert dataset.labels == dict(file='fields.gpkg', column='crop', inner_buffer=10)
    assert cfg.val_dataloader.dataset.labels == dict(file='other.gpkg')
