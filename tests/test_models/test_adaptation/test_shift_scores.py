import pytest
import torch

from mmsits.models.adaptation.class_shares import reweighted
from mmsits.models.adaptation.shift_scores import (
    ShiftStatistics,
    best_shift,
    judge_shift,
    predict_rows,
    score_shifts,
)
from tests.helpers.adaptation_batches import adaptor, batch

SHIFTS = tuple(range(-30, 31))


def bump_logits(best: int, samples: int = 64, classes: int = 3, width: float = 6.0) -> torch.Tensor:
    """Predictions that are the surer, the nearer a shift is to the best one: (n, S, K)."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % classes
    sure = torch.exp(-0.5 * ((torch.tensor(SHIFTS) - best) / width) ** 2)
    noise = 0.1 * torch.randn(samples, len(SHIFTS), classes, generator=generator)
    return 6 * sure[None, :, None] * torch.nn.functional.one_hot(labels, classes)[:, None] + noise


def statistics_of(logits: torch.Tensor, labels: torch.Tensor | None = None) -> ShiftStatistics:
    statistics = ShiftStatistics(SHIFTS, logits.shape[-1])
    statistics.add_all(logits.softmax(-1), labels)
    return statistics


@pytest.mark.parametrize('estimator', ['IS', 'ENT', 'AM', 'ACC'])
@pytest.mark.parametrize('best', [-13, 0, 20])
def test_the_shift_at_which_predictions_are_surest_is_found(estimator: str, best: int) -> None:
    statistics = statistics_of(bump_logits(best), torch.arange(64) % 3)
    scores = statistics.scores(estimator, torch.full((3,), 1 / 3))
    assert abs(best_shift(scores, SHIFTS, estimator) - best) <= (15 if estimator == 'ACC' else 1)


def test_batches_and_processes_may_be_added_in_any_order() -> None:
    logits = bump_logits(5)
    whole, parts = statistics_of(logits), ShiftStatistics(SHIFTS, 3)
    for part in logits.softmax(-1).split(10):
        parts.add_all(part)
    for estimator in ('IS', 'ENT'):
        torch.testing.assert_close(whole.scores(estimator), parts.scores(estimator))


@pytest.mark.parametrize('kind', ['parcels', 'patches'])
@pytest.mark.parametrize('moved', [4, -3])
def test_moving_the_target_moves_the_estimate_the_other_way(kind: str, moved: int) -> None:
    model = adaptor(kind, 'TimeMatch')
    network = model.segmentor
    for module in network.modules():
        # Sharper predictions, so that the curve has an optimum.
        if isinstance(module, torch.nn.Linear):
            module.weight.data.mul_(2)
    data = model.data_preprocessor(batch(kind, 3))
    wide, curves = range(-12, 13), {}
    for shift in (0, moved):
        series = data['inputs']['s2']
        inputs = {'s2': series._replace(days=series.days + shift)}
        curves[shift] = score_shifts(network, [dict(inputs=inputs)], wide).scores('ENT')
    inner = [s for s in wide if -8 <= s <= 8]
    original = torch.stack([curves[0][wide.index(s)] for s in inner])
    shifted = torch.stack([curves[moved][wide.index(s - moved)] for s in inner])
    torch.testing.assert_close(original, shifted)
    best = best_shift(curves[0], wide, 'ENT', -8, 8)
    assert best_shift(curves[moved], wide, 'ENT', -8 - moved, 8 - moved) == best - moved


@pytest.mark.parametrize('shared_dates', [True, False])
def test_the_split_of_pixel_sets_gives_what_whole_passes_give(shared_dates: bool) -> None:
    model = adaptor('parcels', 'TimeMatch').eval()
    data = model.data_preprocessor(batch('parcels', 3))
    if not shared_dates:
        data['inputs']['s2'].days[2:] += 11
        data['inputs']['s2'].valid[1, 2:] = False
    statistics = score_shifts(model.segmentor, [data], [-5, 7])
    for index, shift in enumerate((-5, 7)):
        series = data['inputs']['s2']
        logits = model.segmentor.encode_decode({'s2': series._replace(days=series.days + shift)})
        expected = logits.softmax(1).flatten(1).double().mean(0)
        torch.testing.assert_close(statistics.mean_probability()[index], expected)


@pytest.mark.parametrize('kind', ['parcels', 'patches'])
def test_predicted_rows_are_what_the_scores_are_of(kind: str) -> None:
    model = adaptor(kind, 'TimeMatch').train()
    data = [model.data_preprocessor(batch(kind, seed)) for seed in (3, 4)]
    rows = predict_rows(model.segmentor, data, 7, max_pixels=50)
    statistics = score_shifts(model.segmentor, data, [-5, 7], max_pixels=50)
    assert model.segmentor.training
    assert len(rows) == statistics.count.sum() == (12 if kind == 'parcels' else 100)
    torch.testing.assert_close(rows.double().mean(0), statistics.mean_probability()[1])


def test_scoring_leaves_the_mode_and_unobserved_pixels_alone() -> None:
    model = adaptor('patches', 'TimeMatch').train()
    data = model.data_preprocessor(batch('patches', 3))
    data['inputs']['s2'].valid[:, :, :, 4:] = False
    statistics = score_shifts(model.segmentor, [data], [0], max_pixels=10**6)
    assert model.segmentor.training
    assert statistics.count.sum() == 6 * 8 * 4
    assert score_shifts(model.segmentor, [data], [0], max_pixels=50).count.sum() == 50


def test_a_clear_curve_is_trusted() -> None:
    trust = judge_shift(statistics_of(bump_logits(7)), 'ENT')
    assert trust.trusted, trust.warnings
    assert abs(trust.shift - 7) <= 1
    assert trust.spread <= 2
    assert trust.contrast > 3


def test_a_flat_curve_is_not_trusted() -> None:
    generator = torch.Generator().manual_seed(1)
    trust = judge_shift(statistics_of(torch.randn(64, len(SHIFTS), 3, generator=generator)), 'ENT')
    assert any('differ by' in warning or 'flat' in warning for warning in trust.warnings)


def test_two_peaks_are_not_trusted() -> None:
    logits = torch.maximum(bump_logits(-15), 0.97 * bump_logits(15))
    trust = judge_shift(statistics_of(logits), 'ENT')
    assert any('scores' in warning and '+15' in warning for warning in trust.warnings)
    assert {-15, 15} <= {peak.shift for peak in trust.peaks[:2]} or abs(trust.peaks[1].shift - 15) <= 1


def test_an_optimum_at_the_end_of_the_range_is_not_trusted() -> None:
    trust = judge_shift(statistics_of(bump_logits(45, width=30.0)), 'ENT')
    assert any('end of the range' in warning for warning in trust.warnings)


@pytest.mark.parametrize(
    ('low', 'high', 'best', 'said'),
    [(0, 7, 20, 'earlier estimates left'), (0, 7, -20, 'earlier estimates left'), (0, 30, 45, 'widen max_shift')],
)
def test_a_narrowed_range_is_judged_too(low: int, high: int, best: int, said: str) -> None:
    trust = judge_shift(statistics_of(bump_logits(best, width=20.0)), 'ENT', low=low, high=high, max_shift=30)
    assert trust.shift == (high if best > 0 else low)
    assert any('end of the range' in warning and said in warning for warning in trust.warnings)
    inner = judge_shift(statistics_of(bump_logits(4)), 'ENT', low=low, high=high, max_shift=30)
    assert not any('end of the range' in warning for warning in inner.warnings)


def test_class_proportions_that_moved_are_reported() -> None:
    statistics = statistics_of(bump_logits(7))
    assert judge_shift(statistics, 'ENT', source_shares=torch.full((3,), 1 / 3)).trusted
    trust = judge_shift(statistics, 'ENT', source_shares=torch.tensor([0.8, 0.1, 0.1]))
    (warning,) = trust.warnings
    assert 'proportions moved from source to target by 46%' in warning
    assert 'class 0 80% → 34%' in warning


def test_corrected_scores_are_those_of_corrected_predictions() -> None:
    probabilities, weights = bump_logits(5).softmax(-1), torch.tensor([2.0, 0.5, 0.0], dtype=torch.float64)
    corrected, plain = ShiftStatistics(SHIFTS, 3, class_weights=weights), ShiftStatistics(SHIFTS, 3)
    corrected.add_all(probabilities)
    plain.add_all(reweighted(probabilities.double(), weights))
    for estimator in ('IS', 'ENT', 'AM'):
        expected = torch.tensor([0.7, 0.3, 0.0])
        torch.testing.assert_close(corrected.scores(estimator, expected), plain.scores(estimator, expected))


def test_what_is_missing_is_said() -> None:
    statistics = ShiftStatistics([0, 1], 3)
    with pytest.raises(ValueError, match='no sample was scored'):
        statistics.scores('IS')
    statistics.add_all(torch.full((4, 2, 3), 1 / 3))
    with pytest.raises(ValueError, match='give class_distribution'):
        statistics.scores('AM')
    with pytest.raises(ValueError, match='needs labels of the target'):
        statistics.scores('ACC')
    with pytest.raises(ValueError, match='expected one of'):
        statistics.scores('XY')
    with pytest.raises(ValueError, match='ascending'):
        ShiftStatistics([3, 1], 3)
    with pytest.raises(ValueError, match='no candidate shift'):
        best_shift(torch.zeros(2), [0, 1], 'ENT', 5, 9)
