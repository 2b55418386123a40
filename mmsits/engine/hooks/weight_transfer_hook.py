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
        # Classes belong to a head that was not handed on; bands, units and season still have to agree.
        (checkpoint.get('meta', {}).get('dataset_meta') or {}).pop('classes', None)
