"""Starting a training from a pre-trained backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop
from mmseg.registry import HOOKS

from mmsits.engine.weight_transfer import PREFIXES, transfer_weights


@HOOKS.register_module()
class WeightTransferHook(Hook):
    """Let `load_from` take the checkpoint of a pre-training, or of a model with another head: what fits is loaded, the
    rest keeps its own initialisation. A table of what became of the weights is in the log.

    The normalisation is handed on with the backbone, which learnt under it. A checkpoint that holds all weights of the
    model passes as it is, and so does any where nothing is trained: a test never runs with a head that learnt nothing.

    To train the head alone, freeze the backbone by the optimiser:
    `optim_wrapper=dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0, decay_mult=0))))`.

    Args:
        prefixes: beginnings of names in the checkpoint to what stands in their place in the model; default
            `{'backbone.': 'backbone.', 'data_preprocessor.': 'data_preprocessor.'}`.

    Raises:
        CheckpointError: when loading, if nothing fits; it lists names of both sides.
    """

    # Before the checkpoint is compared with the model.
    priority = 'HIGH'

    def __init__(self, prefixes: Mapping[str, str] | None = None) -> None:
        self.prefixes = dict(PREFIXES if prefixes is None else prefixes)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Choose the weights."""
        if runner._resume or not isinstance(runner._train_loop, BaseLoop):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        weights, own = checkpoint.get('state_dict', checkpoint), model.state_dict()
        if all(name in weights and weights[name].shape == value.shape for name, value in own.items()):
            return
        transfer = transfer_weights(weights, own, self.prefixes)
        runner.logger.info(f'Weights handed on:\n{transfer.table()}')
        checkpoint['state_dict'] = transfer.weights
        known = checkpoint.get('meta', {}).get('dataset_meta')
        if known:
            data = getattr(getattr(runner, 'train_dataloader', None), 'dataset', None)
            checkpoint['meta']['dataset_meta'] = still_to_agree(known, getattr(data, 'metainfo', None) or {})


def still_to_agree(known: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be the same in the data of a fine-tuning as in those of the pre-training.

    Bands, units and season, but not classes, which belong to a head that is not handed on. A sensor that only one of
    the two has does not matter, and a season that begins on the same day of another year is the same.

    Args:
        known: metainfo of the data of the pre-training.
        used: metainfo of the data to be trained on.

    Returns:
        `known`, less what does not matter, with what `used` says in place of what is as good.
    """
    kept = {name: value for name, value in known.items() if name != 'classes'}
    for name in ('bands', 'units'):
        before, now = known.get(name), used.get(name)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            kept[name] = {sensor: before.get(sensor, value) for sensor, value in now.items()}
    seasons = [str(metainfo.get('season_start') or '') for metainfo in (known, used)]
    if all(len(season) == 10 for season in seasons) and seasons[0][5:] == seasons[1][5:]:
        kept['season_start'] = used['season_start']
    return kept
