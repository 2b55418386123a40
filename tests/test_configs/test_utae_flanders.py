"""The small U-TAE on real tiles in the layout of PASTIS, here on simulated ones."""

from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS

from mmsits.engine.config import load_config
from tests.helpers.pastis_miniature import write_pastis_miniature

CONFIG = Path(__file__).parents[2] / 'configs' / 'utae' / 'utae_flanders-fold3.py'


def test_nothing_of_the_test_fold_is_trained_on_or_chosen_by() -> None:
    cfg = load_config(CONFIG, {'data_root': '/data'})
    parts = (cfg.train_dataloader.dataset, cfg.test_dataloader.dataset)
    assert [part.folds for part in parts] == [[1, 2], [3]]
    assert all(part.data_root == '/data' and part.ignored_classes == ('background',) for part in parts)
    assert cfg.val_dataloader is None
    assert cfg.default_hooks.checkpoint.save_best is None
    assert cfg.param_scheduler[0].total_steps == cfg.train_cfg.max_iters


def test_weighted_loss_is_finite_and_blind_to_ignored_pixels(tmp_path: Path) -> None:
    init_default_scope('mmseg')
    folder = write_pastis_miniature(tmp_path, patches=5)
    cfg = load_config(CONFIG, {'data_root': str(folder)})
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    model.data_preprocessor.set_statistics('s2', [2000.0] * 10, [1000.0] * 10)
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), training=True)
    scores = torch.randn(2, 20, *batch['targets'].shape[-2:])
    ignored = batch['targets'].squeeze(1) == 255
    assert ignored.any()
    loss = model.decode_head.loss_decode(scores, batch['targets'].squeeze(1), ignore_index=255)
    assert loss.isfinite()
    changed = torch.where(ignored.unsqueeze(1), -scores, scores)
    assert torch.equal(model.decode_head.loss_decode(changed, batch['targets'].squeeze(1), ignore_index=255), loss)
