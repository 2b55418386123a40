"""Every method trains parcels and patches; what must not carry a gradient carries none."""

import pytest
import torch
from torch import nn

from mmsits.models.adaptation import DomainAdaptor, DomainRows
from tests.helpers.adaptation_batches import adaptor, views

METHODS = {
    'MMD': {},
    'DANN': dict(hidden=16),
    'CDAN': dict(hidden=16),
    'JUMBOT': dict(epsilon=0.1),
    'ALDA': dict(hidden=16, threshold=0.3),
    'FixMatch': dict(threshold=0.3),
    'TimeMatch': dict(threshold=0.3),
}
TRANSFER = ('MMD', 'DANN', 'CDAN', 'JUMBOT', 'ALDA')


def losses_of(model: DomainAdaptor, kind: str, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    data = model.data_preprocessor(views(kind), True)
    return model(**data, mode='loss')


def total(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.stack([value for name, value in losses.items() if 'loss' in name]).sum()


@pytest.mark.parametrize('kind', ['parcels', 'patches'])
@pytest.mark.parametrize('name', METHODS)
def test_a_step_reaches_all_parameters(name: str, kind: str) -> None:
    model = adaptor(kind, name, **METHODS[name])
    losses = losses_of(model, kind)
    assert all(torch.isfinite(value).all() for value in losses.values())
    total(losses).backward()
    trained = {n for n, p in model.named_parameters() if p.grad is not None}
    assert trained == {n for n, p in model.named_parameters() if not n.startswith('teacher.')}


@pytest.mark.parametrize('name', TRANSFER)
def test_weight_zero_leaves_the_supervised_gradient(name: str) -> None:
    gradients = []
    for weight in (0.0, 1.0):
        model = adaptor('parcels', name, **METHODS[name], trade_off=weight)
        # A reversal begins with weight 0.
        if hasattr(model.method, 'reversal'):
            model.method.reversal.count.fill_(1000)
        losses = losses_of(model, 'parcels')
        supervised = sum(value for key, value in losses.items() if 'source' in key and 'loss' in key)
        parameters = list(model.segmentor.backbone.parameters())
        alone = torch.autograd.grad(supervised, parameters, retain_graph=True)
        both = torch.autograd.grad(total(losses), parameters)
        gradients.append(max(float((a - b).abs().max()) for a, b in zip(alone, both, strict=True)))
    assert gradients[0] < 1e-7
    assert gradients[1] > 1e-6


def test_aldas_regulariser_does_not_reach_the_network() -> None:
    model = adaptor('parcels', 'ALDA', **METHODS['ALDA'])
    losses = losses_of(model, 'parcels')
    reached = torch.autograd.grad(losses['loss_regulariser'], list(model.segmentor.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in reached)


def test_aldas_ramp_can_restart() -> None:
    weights = {}
    for every in (None, 500):
        method = adaptor('parcels', 'ALDA', hidden=16, ramp_restarts_every=every).method
        method.steps.fill_(600)
        weights[every] = float(method.correct_weight())
    assert weights[500] == pytest.approx(2 / (1 + torch.tensor(-0.1).exp().item()) - 1)
    assert weights[None] > weights[500]


def test_labels_of_the_source_that_are_ignored_have_no_part() -> None:
    model = adaptor('patches', 'JUMBOT', max_rows=1000)
    data = model.data_preprocessor(views('patches'), True)
    data['source']['targets'][:, :, :, 2:] = 255
    seen: list[DomainRows] = []
    alignment = model.method.alignment
    model.method.alignment = lambda source, target: (seen.append(source), alignment(source, target))[1]
    model(**data, mode='loss')
    assert len(seen[0].labels) == 6 * 8 * 2
    assert seen[0].labels.max() < 255


def test_a_source_without_any_label_gives_no_transfer_but_a_gradient() -> None:
    model = adaptor('patches', 'ALDA', **METHODS['ALDA'])
    data = model.data_preprocessor(views('patches'), True)
    data['source']['targets'][:] = 255
    losses = model(**data, mode='loss')
    assert float(losses['loss_transfer'].detach()) == 0
    total(losses).backward()
    assert all(p.grad is not None for n, p in model.named_parameters())


def test_rows_are_drawn_from_observed_pixels_by_the_steps_seed() -> None:
    model = adaptor('patches', 'MMD', max_rows=10)
    data = model.data_preprocessor(views('patches'), True)
    drawn: list[torch.Tensor] = []
    model.method.alignment = lambda source, target: (drawn.append(source.features), {})[1]
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        model(**data, mode='loss')
    assert drawn[0].shape == (10, 8)
    # Batch norms have moved on between the calls only in their running statistics.
    torch.testing.assert_close(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_cdan_projects_long_products_and_keeps_the_projection() -> None:
    method = adaptor('parcels', 'CDAN', feature_channels=2000, hidden=8, randomized_dim=16).method
    assert method.randomized
    assert {'of_features', 'of_classes'} <= set(method.state_dict())
    rows = DomainRows(torch.randn(4, 2000), torch.randn(4, 3))
    assert torch.isfinite(method.alignment(rows, rows)['loss_transfer'])


@pytest.mark.parametrize('separate', [True, False])
def test_students_batch_norm_sees_kept_samples_only(separate: bool) -> None:
    model = adaptor('parcels', 'FixMatch', threshold=0.3, separate_batch_norm=separate)
    data = model.data_preprocessor(views('parcels'), True)
    sizes: list[int] = []
    first = next(m for m in model.segmentor.decode_head.modules() if isinstance(m, nn.BatchNorm1d))
    first.register_forward_hook(lambda module, inputs, output: sizes.append(len(inputs[0])))
    answer = model.teacher.predict(data['target_weak']['inputs'])[0]['logits'].softmax(1).amax(1).flatten()
    model.method.threshold = float(answer.sort().values[2])
    losses = model(**data, mode='loss')
    assert sizes == ([6, 3] if separate else [9])
    assert float(losses['kept_share']) == pytest.approx(0.5)
    assert model.method.kept_counts.sum() == 3
    assert model.method.predicted_counts.sum() == 6


@pytest.mark.parametrize(('separate', 'kept', 'passes'), [(True, 1, 1), (True, 0, 1), (False, 1, 1), (False, 0, 1)])
def test_too_few_pseudo_labels_leave_the_source_alone(separate: bool, kept: int, passes: int) -> None:
    model = adaptor('parcels', 'FixMatch', threshold=0.3, separate_batch_norm=separate)
    data = model.data_preprocessor(views('parcels'), True)
    answer = model.teacher.predict(data['target_weak']['inputs'])[0]['logits'].softmax(1).amax(1).flatten()
    model.method.threshold = float(answer.sort(descending=True).values[kept])
    losses = model(**data, mode='loss')
    assert ('target.decode.loss_ce' in losses) == (kept == 1 and not separate)
    assert torch.isfinite(total(losses))


def test_timematch_shifts_the_teachers_target_and_the_students_source() -> None:
    model = adaptor('parcels', 'TimeMatch', threshold=0.3)
    data = model.data_preprocessor(views('parcels'), True)
    seen: dict[str, list[int]] = {'teacher': [], 'student': []}
    for name, network in (('teacher', model.teacher), ('student', model.segmentor)):
        network.backbone.register_forward_pre_hook(
            lambda module, inputs, key=name: seen[key].append(int(inputs[0]['s2'].days[0, 1]))
        )
    model.method.target_shift.fill_(-9)
    model.method.source_shift.fill_(9)
    model(**data, mode='loss')
    assert seen == {'teacher': [30 - 9], 'student': [30 + 9, 30]}


def test_views_cut_differently_are_refused() -> None:
    model = adaptor('patches', 'FixMatch', threshold=0.3)
    data = model.data_preprocessor(views('patches'), True)
    weak = data['target_weak']['inputs']['s2']
    data['target_weak']['inputs']['s2'] = weak._replace(values=weak.values[..., :4], valid=weak.valid[..., :4])
    with pytest.raises(ValueError, match='cut and flipped alike'):
        model(**data, mode='loss')


def test_options_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match='probability below 1'):
        adaptor('parcels', 'FixMatch', threshold=1.0)
    with pytest.raises(ValueError, match='trade_off'):
        adaptor('parcels', 'MMD', trade_off=-1)
    with pytest.raises(ValueError, match='solver'):
        adaptor('parcels', 'JUMBOT', solver='half')
    with pytest.raises(ValueError, match='max_rows'):
        adaptor('parcels', 'MMD', max_rows=1)
