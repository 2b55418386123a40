"""Starting an adaptation from weights that were trained on the source."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmsits.models.adaptation import adaptor_of, source_weights_as_adaptor


@HOOKS.register_module()
class SourceWeightsHook(Hook):
    """Let `load_from` of a `DomainAdaptor` take the checkpoint of a bare segmentor, for student and teacher.

    Checkpoints of an adaptor pass as they are.
    """

    # Before the checkpoint is compared with the model.
    priority = 'HIGH'

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Rename the weights."""
        weights = checkpoint.get('state_dict', checkpoint)
        if runner._resume or any(name.startswith('segmentor.') for name in weights):
            return
        adaptor = adaptor_of(runner.model)
        checkpoint['state_dict'] = source_weights_as_adaptor(weights, adaptor.state_dict())
        runner.logger.info('The checkpoint holds a segmentor: its weights are where adaptation starts from.')
