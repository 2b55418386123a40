"""Training counted in epochs: as long as the data say, with a schedule that follows, and resumed exactly."""

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsits.engine import ConfigError, load_config
from tests.helpers.pastis_miniature import write_pastis_miniature
from tests.helpers.tiny_model import write_config

EXTRA = """
train_cfg = dict(type='EpochCountedTrainLoop', max_epochs=2)
param_scheduler = [dict(
    type='WarmupCosineLR', warmup=1, start_value=0.001, held_for=1, by_epoch=True, convert_to_iter_based=True)]
optim_wrapper.update(accumulative_counts=1)
default_hooks['checkpoint'].update(interval=2, save_best=None, max_keep_ckpts=5)
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
custom_hooks = []
"""


class Rates(Hook):
    """Notes the rate of each iteration."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        self.seen.append(runner.optim_wrapper.get_lr()['lr'][0])


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('loops')
    return write_config(folder / 'tiny.py', write_pastis_miniature(folder / 'data', patches=10, size=8), EXTRA)


def train(config: Path, work_dir: Path, **changes) -> tuple[Runner, list[float]]:
    cfg = load_config(config, changes)
    cfg.work_dir = str(work_dir)
    runner, rates = Runner.from_cfg(cfg), Rates()
    runner.register_hook(rates)
    runner.train()
    return runner, rates.seen


def test_length_and_schedule_follow_the_data_and_resume_exactly(config: Path, tmp_path: Path) -> None:
    whole, rates = train(config, tmp_path / 'whole')
    samples = len(whole.train_dataloader.dataset)
    assert whole.max_iters == 2 * (samples // 2) == len(rates) == 6
    assert (whole.max_epochs, whole.epoch) == (2, 0)
    # The first epoch at the start value; at its end the warm-up is over and half of the cosine gone.
    assert rates == pytest.approx([0.001] * 3 + [0.005] * 3)
    checkpoint = tmp_path / 'whole' / 'iter_2.pth'
    resumed, rest = train(config, tmp_path / 'resumed', load_from=str(checkpoint), resume=True)
    assert rest == rates[2:]
    assert train(config, tmp_path / 'trial', **{'train_cfg.max_iters': 4})[1] == rates[:4]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'train_cfg.max_epochs': 0}, 'max_epochs=0'),
        ({'train_dataloader.batch_size': 64}, 'fewer than one batch'),
    ],
)
def test_refuses_nothing_to_train(config: Path, tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        train(config, tmp_path, **changes)
