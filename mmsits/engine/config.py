"""From a config file and a command line to a config that a Runner takes: checked, completed for this machine."""

from __future__ import annotations

import difflib
import glob
import inspect
import logging
import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.dist import is_distributed
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmsits.engine.checkpoint import find_resumable
from mmsits.engine.errors import ConfigError

# Makes `mmsits::…` usable in `_base_`.
MODULE2PACKAGE['mmsits'] = 'mmsits'

#: What mmengine's Runner reads from the top level of a config.
RUNNER_KEYS = frozenset(
    {
        'model',
        'work_dir',
        'train_dataloader',
        'val_dataloader',
        'test_dataloader',
        'train_cfg',
        'val_cfg',
        'test_cfg',
        'auto_scale_lr',
        'optim_wrapper',
        'param_scheduler',
        'val_evaluator',
        'test_evaluator',
        'default_hooks',
        'custom_hooks',
        'data_preprocessor',
        'load_from',
        'resume',
        'launcher',
        'env_cfg',
        'log_processor',
        'log_level',
        'visualizer',
        'vis_backends',
        'default_scope',
        'randomness',
        'experiment_name',
        'custom_imports',
        'model_wrapper_cfg',
        'sync_bn',
        'find_unused_parameters',
        'activation_checkpointing',
        'efficient_conv_bn_eval',
        'compile',
        'tta_model',
        'tta_pipeline',
    }
)
#: Names by which the library's configs keep a value that they use more than once.
VARIABLES = frozenset(
    {
        'data_root',
        'fold',
        'source',
        'target',
        'min_parcels',
        'year',
        'samples',
        'grid',
        'labels',
        'splits',
        'window_size',
        'cache',
        'dataset_type',
        'train_pipeline',
        'val_pipeline',
        'test_pipeline',
        'classes',
        'num_classes',
        'palette',
        'metainfo',
        'sensors',
        'bands',
        'in_channels',
        'crop_size',
        'norm_cfg',
        'act_cfg',
        'optimizer',
        'batch_size',
        'num_workers',
        'max_iters',
        'val_interval',
        'season_start',
        'reference_date',
        'statistics',
        'ignored_classes',
        'backend_args',
        'source_root',
        'target_root',
        'source_pipeline',
        'target_pipeline',
        'evaluator',
    }
)
#: What is handed on from the top level to every dataset: which data, and, of a scene, how to read them.
HANDED_ON = (
    'data_root',
    'fold',
    'source',
    'target',
    'min_parcels',
    'samples',
    'sensors',
    'grid',
    'labels',
    'classes',
    'splits',
    'window_size',
    'season_start',
    'cache',
    'year',
)
_SPLITS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config file, apply overrides from the command line, check its top level, hand on root and fold.

    Args:
        path: A config in Python, YAML or JSON.
        options: Overrides by dotted key, as in `--cfg-options`.

    Raises:
        ConfigError: If the file does not exist, or a key at the top level is unknown.
    """
    if not Path(path).is_file():
        raise ConfigError(f'there is no config {path}')
    cfg = _without_formatting(Config.fromfile(str(path)))
    options = dict(options or {})
    cfg.merge_from_dict(options)
    check_keys(cfg)
    hand_on(cfg, _values_in_files(path))
    # What the command line says of a single dataset stands above what it says of all.
    cfg.merge_from_dict({key: value for key, value in options.items() if key.rpartition('.')[2] in HANDED_ON})
    return cfg


def _without_formatting(cfg: Config) -> Config:
    """The same config, whose text is plain Python that no formatter has gone over.

    mmengine writes the text anew for each log, dump and checkpoint, seven times in a run of three checkpoints, and
    formatting takes a second or more each time.
    """
    return Config(
        cfg.to_dict(),
        cfg_text=cfg.text,
        filename=cfg.filename,
        env_variables=cfg.env_variables,
        format_python_code=False,
    )


def _values_in_files(path: str | Path) -> dict[str, list[Any]]:
    """What a config file and those that it inherits from give the top-level variables that are handed on."""
    cfg = Config.fromfile(str(path), import_custom_modules=False)
    values = {key: [cfg[key]] if key in cfg else [] for key in HANDED_ON}
    for base in Config._get_base_files(str(path)):
        base_path, _ = Config._get_cfg_path(base, str(path))
        if not Path(base_path).is_file():
            continue
        for key, inherited in _values_in_files(base_path).items():
            values[key] += inherited
    return values


def check_keys(cfg: Mapping[str, Any]) -> None:
    """Refuse keys at the top level that nobody reads: mmengine would ignore them in silence.

    Names that begin with an underscore or end in `_pipeline` are taken as variables of the config.

    Hooks under `default_hooks` without a type, which a misspelt name makes, are refused as well.

    Raises:
        ConfigError: Names the key and the nearest known one.
    """
    known = RUNNER_KEYS | VARIABLES
    for key in cfg:
        if key in known or key.startswith('_') or key.endswith('_pipeline'):
            continue
        nearest = difflib.get_close_matches(key, known, n=1)
        meant = f', did you mean {nearest[0]!r}?' if nearest else '.'
        raise ConfigError(
            f'unknown key {key!r} at the top level of the config{meant} If it is a variable of your own, begin '
            f"its name with an underscore ('_{key}')."
        )
    hooks = cfg.get('default_hooks') or {}
    typed = [name for name, hook in hooks.items() if hook is None or 'type' in hook]
    for name in hooks.keys() - set(typed):
        nearest = difflib.get_close_matches(name, typed, n=1)
        meant = f'did you mean {nearest[0]!r}?' if nearest else f'there are {", ".join(typed)}.'
        raise ConfigError(f'default_hooks has {name!r}, which has no type: {meant}')


def hand_on(cfg: MutableMapping[str, Any], variables: Mapping[str, Sequence[Any]]) -> None:
    """Give every dataset the `data_root`, `fold` and so on (`HANDED_ON`) of the config's top level.

    A variable of a config file is put in where the file is read, so a later value (of a child config or
    `--cfg-options`) would not reach the datasets by itself. Datasets within others (repeated, concatenated, domains)
    are reached too; all but the root go to those that take them only. A dataset that was given a value of its own,
    one that no file has as the variable's value, keeps it.

    Args:
        cfg: Changed in place.
        variables: The values of these in the files of the config: a dataset that holds one of these
            took it over from the top level.
    """
    if cfg.get('default_scope'):
        init_default_scope(cfg['default_scope'])
    nodes = [(cfg.get(split) or {}).get('dataset') for split in _SPLITS]
    # Datasets that a hook looks at beside.
    nodes += [hook[name] for hook in cfg.get('custom_hooks') or [] for name in ('reference', 'probed') if name in hook]
    for node in nodes:
        for dataset in _datasets(node):
            for key in HANDED_ON:
                own = key in dataset and dataset[key] not in variables.get(key, ())
                if key in cfg and not own and _takes(dataset, key):
                    dataset[key] = cfg[key]


def _datasets(node: Any) -> Iterator[MutableMapping[str, Any]]:
    """The dicts below `node` that describe a dataset which reads files."""
    if isinstance(node, Sequence) and not isinstance(node, str):
        for item in node:
            yield from _datasets(item)
    elif isinstance(node, MutableMapping):
        inner = [node[key] for key in ('dataset', 'datasets', 'domains') if key in node]
        if 'type' in node and not inner:
            yield node
        else:
            # Beside its dataset a domain has the pipelines of its views.
            for item in inner or node.values():
                yield from _datasets(item)


def _takes(dataset: Mapping[str, Any], key: str) -> bool:
    if key in dataset or key == 'data_root':
        return True
    cls = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else dataset['type']
    return key in constructor_arguments(cls)


def constructor_arguments(cls: Any) -> list[str]:
    """Names of the arguments that a class and those above it take, or a function."""
    if not inspect.isclass(cls):
        return [name for name in inspect.signature(cls).parameters if name not in ('args', 'kwargs')]
    constructors = [vars(base)['__init__'] for base in getattr(cls, '__mro__', ()) if '__init__' in vars(base)]
    names = [name for constructor in constructors for name in inspect.signature(constructor).parameters]
    return [name for name in dict.fromkeys(names) if name not in ('self', 'args', 'kwargs')]


def prepare_config(
    cfg: Config,
    work_dir: str | None = None,
    launcher: str = 'none',
    amp: bool = False,
    seed: int | None = None,
    resume: str | None = None,
) -> Config:
    """Complete a config for a run on this machine.

    Args:
        cfg: From `load_config`; changed in place.
        work_dir: Folder of the run; default the config's own, else `work_dirs/<name of the config>`.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'; without a GPU, processes meet through gloo.
        amp: Train with automatic mixed precision.
        seed: Seed of the run.
        resume: 'auto' for the newest readable checkpoint of `work_dir` (none: start from the beginning), or a path.

    Returns:
        `cfg`.

    Raises:
        ConfigError: If a request cannot be met on this machine.
    """
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(cfg.filename or 'run').stem)
    cfg.launcher = launcher
    if seed is not None:
        cfg.randomness = {**cfg.get('randomness', {}), 'seed': seed}
    if amp:
        _switch_amp_on(cfg)
    if not torch.cuda.is_available():
        _prepare_cpu(cfg)
    _refuse_late_schedules(cfg)
    _find_checkpoint(cfg, resume)
    if cfg.get('load_from') and not cfg.get('resume'):
        cfg.load_from = find_weights(cfg.load_from)
    return cfg


def _refuse_late_schedules(cfg: Config) -> None:
    """Refuse a run that ends before a part of its schedule, such as what follows a warm-up, begins."""
    schedules, limits = cfg.get('param_scheduler') or [], cfg.get('train_cfg') or {}
    for schedule in [schedules] if 'type' in schedules else schedules:
        if not isinstance(schedule, Mapping) or schedule.get('end') is not None:
            continue
        name = 'max_epochs' if schedule.get('by_epoch', True) else 'max_iters'
        begin, end = schedule.get('begin', 0), limits.get(name)
        if end is not None and begin >= end:
            raise ConfigError(
                f'param_scheduler: {schedule.get("type")} begins at {begin}, the run ends at train_cfg.{name}={end}: '
                f'train for longer, or let it begin (and what comes before it end) earlier, '
                f"for example --cfg-options 'param_scheduler=None' for a constant learning rate"
            )


def _switch_amp_on(cfg: Config) -> None:
    if not torch.cuda.is_available():
        raise ConfigError('--amp: mixed precision needs a GPU, and there is none here')
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None or wrapper.get('type', 'OptimWrapper') not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ConfigError(f'--amp takes the optimizer wrapper OptimWrapper, the config has {wrapper and wrapper.type}')
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')


def _prepare_cpu(cfg: Config) -> None:
    cfg.randomness = {'seed': 0, 'deterministic': True, **cfg.get('randomness', {})}
    # Filling fresh memory is for finding bugs, and slow.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if cfg.launcher == 'none':
        return
    if cfg.launcher != 'pytorch':
        raise ConfigError(f'--launcher {cfg.launcher} needs GPUs; on CPU use --launcher pytorch (tools/dist_train.sh)')
    if not is_distributed():
        torch.distributed.init_process_group('gloo')
    wrapper = cfg.get('model_wrapper_cfg') or {}
    # mmengine hands device_ids=[LOCAL_RANK] over unless told otherwise, which does not exist without a GPU.
    cfg.model_wrapper_cfg = {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
        **wrapper,
        'device_ids': None,
    }


def _find_checkpoint(cfg: Config, resume: str | None) -> None:
    if resume is None and cfg.get('resume') and not cfg.get('load_from'):
        resume = 'auto'
    if resume is None:
        return
    found = find_resumable(cfg.work_dir) if resume == 'auto' else Path(resume)
    if found is None:
        print_log(
            f'There is no checkpoint in {cfg.work_dir} to resume from: the run starts from the beginning.',
            'current',
            logging.WARNING,
        )
        cfg.resume = False
        return
    if not found.is_file():
        raise ConfigError(f'--resume: there is no checkpoint {found}')
    cfg.resume = True
    cfg.load_from = str(found)


def find_weights(path: str) -> str:
    """The file that `load_from` names, which may be a pattern: the best checkpoint has its iteration in its name.

    Args:
        path: Of a checkpoint, with * or ? for what is not known; an address (s3://…) is returned as it is.

    Raises:
        ConfigError: If not exactly one file is there.
    """
    if '://' in path or Path(path).is_file():
        return path
    found = sorted(glob.glob(path))
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f'load_from={path} stands for {len(found)} files ({", ".join(found[:4])}): name one of them')
    raise ConfigError(
        f'load_from: there are no weights {path}. Train them first (the head of the config says how), or name others '
        'with --cfg-options load_from=…'
    )
