"""A model from a config and a checkpoint, and its prediction for one sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.models.segmentors.base import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmsits.engine.checkpoint import load_strictly
from mmsits.engine.config import load_config
from mmsits.engine.contracts import compare_weights
from mmsits.engine.ensemble import load_ensemble
from mmsits.engine.errors import CheckpointError
from mmsits.structures import to_data_samples


def init_model(
    config: str | Path | Config, checkpoint: str | Path | None = None, device: str | torch.device = 'cpu'
) -> BaseSegmentor:
    """Build a model and load its weights and normalisation.

    Args:
        config: A config file, or a config that was loaded already.
        checkpoint: Checkpoint of this config's model. None leaves the random initialisation.
        device: Where the model runs.

    Returns:
        The model in eval mode, with two attributes more: `cfg`, and `dataset_meta` (classes, palette, bands, units,
        season_start of the data that it was trained on; empty without a checkpoint).

    Raises:
        ConfigError: If there is no such config, or a key of it is unknown.
        CheckpointError: If a file cannot be read as data, or holds another model's weights; likewise of the further
            checkpoints that `test_cfg.test_time` names.
    """
    cfg = config if isinstance(config, Config) else load_config(config)
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    model = MODELS.build(cfg.model)
    model.cfg, model.dataset_meta = cfg, {}
    if checkpoint is not None:
        content = load_strictly(str(checkpoint), map_location='cpu')
        weights = content.get('state_dict', content)
        mismatch = compare_weights(model.state_dict(), weights)
        if mismatch:
            raise CheckpointError(f'{checkpoint}: {mismatch}')
        model.load_state_dict(weights)
        model.dataset_meta = dict(content.get('meta', {}).get('dataset_meta') or {})
        load_ensemble(model)
    return model.to(device).eval()


def predict_sample(model: BaseSegmentor, sample: Mapping[str, Any]) -> SegDataSample:
    """Predict one sample.

    Args:
        model: From `init_model`.
        sample: What a dataset of the library gives for an index (the end of its pipeline is `PackSeriesInputs`).

    Returns:
        mmseg's data sample: `pred_sem_seg` (1, H, W), `seg_logits` (K, H, W), `gt_sem_seg` (1, H, W) if labelled.
    """
    with torch.no_grad():
        return to_data_samples(model.val_step(pseudo_collate([sample]))[0])[0]
