"""The hooks of adaptation, without a Runner."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from mmsits.engine import (
    ConfigError,
    MeanTeacherHook,
    PseudoLabelLogHook,
    SourceWeightsHook,
    TemporalShiftHook,
    load_strictly,
)
from mmsits.engine.hooks.temporal_shift_hook import _OnePass
from mmsits.models.adaptation import DomainAdaptor, copy_student
from tests.helpers.adaptation_batches import adaptor, batch, views

LOGGER = MMLogger.get_instance('test_adaptation_hooks')


class Logged(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))


@pytest.fixture
def log() -> Any:
    handler = Logged()
    LOGGER.addHandler(handler)
    yield handler.lines
    LOGGER.removeHandler(handler)


class Batches(torch.utils.data.Dataset):
    """Samples of one target, the same ones at every call."""

    def __init__(self, number: int = 20) -> None:
        self.number = number
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.asked.append(int(index))
        data = batch('parcels', int(index), samples=1)
        series = data['inputs']['s2']
        return dict(
            inputs={'s2': type(series)(*(part[0] for part in series))},
            metas=data['metas'][0],
            targets=data['targets'][0],
        )


def runner_of(model: DomainAdaptor, work_dir: Path | str = '', iteration: int = 0, accumulate: int = 1) -> Any:
    domains = SimpleNamespace(
        views={'target_weak': ('target', Batches())},
        labelled=('source',),
        metainfo=dict(classes=('corn', 'wheat', 'rape')),
    )
    return SimpleNamespace(
        model=model,
        iter=iteration,
        seed=5,
        logger=LOGGER,
        work_dir=str(work_dir),
        optim_wrapper=SimpleNamespace(_accumulative_counts=accumulate),
        train_dataloader=SimpleNamespace(dataset=domains),
        _resume=False,
        max_iters=100,
    )


def shift_hook(**options: Any) -> TemporalShiftHook:
    return TemporalShiftHook(**dict(dict(interval=2, max_shift=6, batch_size=8, num_batches=2), **options))


def test_the_teacher_starts_as_the_student_and_follows_optimizer_steps() -> None:
    model = adaptor('parcels', 'FixMatch')
    with torch.no_grad():
        for parameter in model.segmentor.parameters():
            parameter.add_(1)
    hook, runner = MeanTeacherHook(decay=0.75), runner_of(model, accumulate=2)
    hook.before_train(runner)
    weights = model.segmentor.decode_head.classifier.weight
    teacher = model.teacher.decode_head.classifier.weight
    assert torch.equal(teacher, weights)
    with torch.no_grad():
        weights.add_(4)
    expected = [weights - 4, weights - 3, weights - 3, weights - 2.25]
    for runner.iter, wanted in enumerate(expected):
        hook.after_train_iter(runner, runner.iter)
        torch.testing.assert_close(teacher, wanted.detach())
    hook.before_train(runner_of(model, iteration=4))
    torch.testing.assert_close(teacher, expected[-1].detach())


def test_hooks_on_another_method_are_refused() -> None:
    plain = runner_of(adaptor('parcels', 'MMD'))
    for hook, message in (
        (MeanTeacherHook(), 'has no teacher'),
        (PseudoLabelLogHook(), 'makes no pseudo labels'),
        (TemporalShiftHook(), 'does not shift domains'),
    ):
        with pytest.raises(ConfigError, match=message):
            hook.before_train(plain)
    with pytest.raises(ConfigError, match='does not shift domains'):
        TemporalShiftHook().before_train(runner_of(adaptor('parcels', 'FixMatch')))
    with pytest.raises(ValueError, match='works on a DomainAdaptor'):
        MeanTeacherHook().before_train(runner_of(torch.nn.Linear(1, 1)))


def test_options_that_cannot_be_meant_are_refused() -> None:
    for options in (dict(estimator='F1'), dict(interval=0), dict(max_shift=-1), dict(num_batches=0)):
        with pytest.raises(ConfigError, match='TemporalShiftHook'):
            TemporalShiftHook(**options)
    with pytest.raises(ConfigError, match='add up'):
        TemporalShiftHook(class_distribution=[0.5, 0.2, 0.2]).before_train(runner_of(adaptor('parcels', 'TimeMatch')))
    with pytest.raises(ConfigError, match='decay'):
        MeanTeacherHook(decay=-1)
    with pytest.raises(ConfigError, match='interval'):
        PseudoLabelLogHook(interval=0)


def test_the_shift_is_estimated_by_the_published_schedule(tmp_path: Path) -> None:
    model = adaptor('parcels', 'TimeMatch')
    hook, runner = shift_hook(), runner_of(model, tmp_path)
    for runner.iter in range(5):
        hook.before_train_iter(runner, runner.iter)
        model.method.predicted_counts.add_(torch.tensor([3, 1, 0]))
    first, second, *later = hook.history
    assert [entry['iter'] for entry in hook.history] == [0, 0, 2, 4]
    assert [entry['estimator'] for entry in hook.history] == ['IS', 'AM', 'AM', 'AM']
    assert (first['low'], first['high']) == (-6, 6)
    assert (second['low'], second['high']) == ((0, 6) if first['shift'] >= 0 else (-6, 0))
    bounds = (min(second['shift'], 0), max(second['shift'], 0))
    assert all((entry['low'], entry['high']) == bounds for entry in later)
    assert int(model.method.target_shift) == later[-1]['shift']
    assert int(model.method.source_shift) == -second['shift']
    torch.testing.assert_close(model.method.class_distribution, torch.tensor([0.75, 0.25, 0.0]).double())


def test_curves_are_written_and_drawn(tmp_path: Path) -> None:
    hook, runner = shift_hook(), runner_of(adaptor('parcels', 'TimeMatch'), tmp_path)
    hook.before_train_iter(runner, 0)
    folder = tmp_path / 'shift_scores'
    content = json.loads((folder / 'iter_0000000_1_AM.json').read_text())
    assert len(content['shifts']) == len(content['scores']['AM']) == content['high'] - content['low'] + 1
    assert sum(content['class_distribution']) == pytest.approx(1)
    assert (folder / 'iter_0000000_0_IS.png').read_bytes()[1:4] == b'PNG'


def test_labels_of_the_target_reach_nobody_unless_the_dataset_is_an_oracle(tmp_path: Path) -> None:
    hook, runner = shift_hook(estimator='ACC'), runner_of(adaptor('parcels', 'TimeMatch'), tmp_path)
    with pytest.raises(ValueError, match='oracle=True'):
        hook.before_train_iter(runner, 0)
    hook, runner = shift_hook(estimator='ACC'), runner_of(adaptor('parcels', 'TimeMatch'), tmp_path)
    runner.train_dataloader.dataset.labelled = ('source', 'target')
    hook.before_train_iter(runner, 0)
    assert hook.history[0]['estimator'] == 'ACC'


def test_options_of_the_schedule(tmp_path: Path) -> None:
    known = [0.2, 0.3, 0.5]
    hook = shift_hook(shift_source=False, narrow_range=False, class_distribution=known, estimator='AM', step=3)
    model = adaptor('parcels', 'TimeMatch')
    runner = runner_of(model, tmp_path)
    hook.before_train(runner)
    for runner.iter in range(3):
        hook.before_train_iter(runner, runner.iter)
    assert int(model.method.source_shift) == 0
    assert {(entry['low'], entry['high']) for entry in hook.history} == {(-6, 6)}
    assert all(entry['shift'] % 3 == 0 for entry in hook.history)
    assert model.method.class_distribution.tolist() == known


def test_every_estimate_is_judged(tmp_path: Path) -> None:
    hook, runner = shift_hook(max_shift=12, num_batches=None), runner_of(adaptor('parcels', 'TimeMatch'), tmp_path)
    runner.train_dataloader.dataset.class_shares = lambda number, as_drawn=False: np.array([0.5, 0.5, 0.0])
    hook.before_train(runner)
    for runner.iter in (0, 2):
        hook.before_train_iter(runner, runner.iter)
    assert all(any('proportions moved' in text for text in entry['warnings']) for entry in hook.history)
    for entry in hook.history[1:]:
        at_end = entry['shift'] in (entry['low'], entry['high']) and entry['high'] - entry['low'] > 1
        assert at_end == any('end of the range' in text for text in entry['warnings'])


def test_shares_are_re_estimated_for_the_corrected_score(tmp_path: Path) -> None:
    model = adaptor('parcels', 'TimeMatch')
    hook, runner = shift_hook(estimator='EM'), runner_of(model, tmp_path)
    with pytest.raises(ConfigError, match=r'set training_shares=\[…\]'):
        hook.before_train(runner)
    asked = []

    def class_shares(number: int, as_drawn: bool = False) -> np.ndarray:
        asked.append(as_drawn)
        return np.full(number, 1 / number)

    runner.train_dataloader.dataset.class_shares = class_shares
    hook.before_train(runner)
    assert asked == [False, True]
    for runner.iter in range(3):
        hook.before_train_iter(runner, runner.iter)
        model.method.predicted_counts.add_(torch.tensor([3, 1, 0]))
    # Twice at the start: the second time with the proportions at the shift that the first gave.
    assert [entry['estimator'] for entry in hook.history] == ['IS', 'EM', 'EM', 'EM']
    shares = model.method.class_distribution
    assert float(shares.sum()) == pytest.approx(1)
    assert (shares > 0).all()
    assert not torch.allclose(shares, torch.tensor([0.75, 0.25, 0.0]).double(), atol=0.01)
    content = json.loads((tmp_path / 'shift_scores' / 'iter_0000000_2_EM.json').read_text())
    assert {'IS', 'ENT', 'EM'} == set(content['scores'])
    given = shift_hook(estimator='EM', training_shares=[0.2, 0.2, 0.6])
    given.before_train(runner_of(adaptor('parcels', 'TimeMatch')))
    with pytest.raises(ConfigError, match='training_shares needs 3 shares'):
        shift_hook(estimator='EM', training_shares=[1.0]).before_train(runner_of(adaptor('parcels', 'TimeMatch')))
    with pytest.raises(ConfigError, match="'EM', expected one of IS, ENT, AM, ACC"):
        shift_hook(first_estimator='EM')


@pytest.mark.parametrize(
    ('shift_options', 'method_options'),
    [
        ({}, {}),
        (dict(estimator='EM', training_shares=[0.5, 0.3, 0.2]), dict(balance='estimated', lowest_threshold=0.1)),
    ],
    ids=['published', 'corrected'],
)
def test_an_interrupted_estimate_goes_on_as_an_uninterrupted_one(
    tmp_path: Path, shift_options: dict[str, Any], method_options: dict[str, Any]
) -> None:
    def steps(hook: TemporalShiftHook, log_hook: PseudoLabelLogHook, runner: Any, first: int, last: int) -> None:
        teacher = MeanTeacherHook(0.9)
        hook.before_train(runner)
        for iteration in range(first, last):
            runner.iter = iteration
            hook.before_train_iter(runner, iteration)
            torch.manual_seed(iteration)
            model = runner.model
            data = model.data_preprocessor(views('parcels', 10 * iteration), True)
            losses = model(**data, mode='loss')
            loss = sum(value for name, value in losses.items() if 'loss' in name)
            parameters = list(model.segmentor.parameters())
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.data.sub_(0.1 * gradient)
            teacher.after_train_iter(runner, iteration)
            log_hook.after_train_iter(runner, iteration)

    whole = runner_of(adaptor('parcels', 'TimeMatch', threshold=0.3, **method_options), tmp_path)
    hooks = shift_hook(**shift_options), PseudoLabelLogHook(interval=3)
    hooks[1].before_train(whole)
    steps(*hooks, whole, 0, 8)

    before = runner_of(adaptor('parcels', 'TimeMatch', threshold=0.3, **method_options), tmp_path)
    killed = shift_hook(**shift_options), PseudoLabelLogHook(interval=3)
    killed[1].before_train(before)
    steps(*killed, before, 0, 5)
    checkpoint: dict = {'state_dict': before.model.state_dict()}
    for hook in killed:
        hook.before_save_checkpoint(before, checkpoint)
    torch.save(checkpoint, tmp_path / 'iter_5.pth')
    # A model that starts from something else takes everything from the checkpoint.
    torch.manual_seed(99)
    after = runner_of(adaptor('parcels', 'TimeMatch', threshold=0.3, **method_options), tmp_path)
    after.model.segmentor.decode_head.classifier.weight.data.zero_()
    after._resume = True
    content = load_strictly(tmp_path / 'iter_5.pth')
    resumed = shift_hook(**shift_options), PseudoLabelLogHook(interval=3)
    for hook in resumed:
        hook.after_load_checkpoint(after, content)
    after.model.load_state_dict(content['state_dict'])
    after.iter = 5
    resumed[1].before_train(after)
    steps(*resumed, after, 5, 8)

    expected, got = whole.model.state_dict(), after.model.state_dict()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    for one, other in zip(hooks, resumed, strict=True):
        assert one.history == other.history
    assert len(hooks[0].history) == 5 + bool(shift_options)
    assert len(hooks[1].history) == 2


def test_pseudo_labels_are_logged_per_interval(log: list) -> None:
    model = adaptor('parcels', 'FixMatch')
    hook, runner = PseudoLabelLogHook(interval=2), runner_of(model)
    runner.max_iters = 5
    model.method.predicted_counts.fill_(100)  # of a run before
    hook.before_train(runner)
    for runner.iter in range(5):
        model.method.predicted_counts.add_(torch.tensor([4, 1, 0]))
        model.method.kept_counts.add_(torch.tensor([2, 0, 0]) * (runner.iter < 2))
        hook.after_train_iter(runner, runner.iter)
    # The last interval ends with the training, however short it is.
    assert [(entry['iter'], sum(entry['predicted'])) for entry in hook.history] == [(2, 10), (4, 10), (5, 5)]
    assert hook.history[0] == dict(iter=2, kept_share=0.4, predicted=[8, 2, 0], kept=[4, 0, 0])
    assert hook.history[1]['kept_share'] == 0
    warnings = [text for level, text in log if level == 'WARNING']
    assert [text.partition(' was')[0] for text in warnings] == [
        'No pseudo label of iterations 3 to 4',
        'No pseudo label of iterations 5 to 5',
    ]
    assert any('40.0% kept; corn 4/8, wheat 0/2' in text for _, text in log)


def test_source_weights_are_taken_over_and_adaptors_own_left_alone() -> None:
    model, other = adaptor('parcels', 'TimeMatch'), adaptor('parcels', 'TimeMatch')
    other.segmentor.decode_head.classifier.weight.data.fill_(3)
    hook, runner = SourceWeightsHook(), runner_of(model)
    checkpoint = {'state_dict': dict(other.segmentor.state_dict())}
    hook.after_load_checkpoint(runner, checkpoint)
    model.load_state_dict(checkpoint['state_dict'])
    assert (model.teacher.decode_head.classifier.weight == 3).all()
    copy_student(other.teacher, other.segmentor)
    own = {'state_dict': other.state_dict()}
    hook.after_load_checkpoint(runner, own)
    assert own['state_dict'].keys() == model.state_dict().keys()


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_a_pass_is_dealt_out_to_all_processes(monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    from mmsits.engine.hooks import temporal_shift_hook

    drawn = []
    for rank in range(world_size):
        monkeypatch.setattr(temporal_shift_hook, 'get_dist_info', lambda rank=rank: (rank, world_size))
        drawn += [(index.draw, int(index)) for index in _OnePass(range(20), 5, 100, 12)]
    assert sorted(draw for draw, _ in drawn) == list(range(12))
    assert len({index for _, index in drawn}) == 12
    monkeypatch.setattr(temporal_shift_hook, 'get_dist_info', lambda: (0, 1))
    assert sorted(drawn) == [(index.draw, int(index)) for index in _OnePass(range(20), 5, 100, 12)]
    assert [int(i) for i in _OnePass(range(20), 5, 100, None)] != [int(i) for i in _OnePass(range(20), 5, 101, None)]
