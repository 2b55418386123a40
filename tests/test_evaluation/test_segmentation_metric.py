import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from mmsits.evaluation import SeriesSegmentationMetric, confusion_matrix, scores

GOLDEN = Path(__file__).parents[1] / 'data' / 'parity' / 'utae_blocks.npz'


def _labels(seed: int, classes: int = 7, size: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Reference without class 5, prediction without class 2, a tenth of the reference ignored."""
    rng = np.random.default_rng(seed)
    target = rng.choice([c for c in range(classes) if c != 5], size)
    prediction = np.where(rng.random(size) < 0.6, target, rng.integers(0, classes, size))
    prediction[prediction == 2] = 3
    target[rng.random(size) < 0.1] = 255
    return prediction, target


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_reference_averages_agree_with_scikit_learn(seed: int) -> None:
    prediction, target = _labels(seed)
    keep = target != 255
    result = scores(confusion_matrix(prediction, target, 7))
    y, p = target[keep], prediction[keep]
    labels = np.unique(y)
    common = dict(labels=labels, average='macro', zero_division=0)
    assert result.overall['OA'] == pytest.approx(sk.accuracy_score(y, p), abs=1e-12)
    assert result.overall['kappa'] == pytest.approx(sk.cohen_kappa_score(y, p), abs=1e-12)
    assert result.overall['macro_F1'] == pytest.approx(sk.f1_score(y, p, **common), abs=1e-12)
    assert result.overall['mIoU'] == pytest.approx(sk.jaccard_score(y, p, **common), abs=1e-12)
    assert result.overall['macro_precision'] == pytest.approx(sk.precision_score(y, p, **common), abs=1e-12)
    assert result.overall['macro_recall'] == pytest.approx(sk.recall_score(y, p, **common), abs=1e-12)
    np.testing.assert_allclose(
        result.per_class['F1'][labels], sk.f1_score(y, p, labels=labels, average=None, zero_division=0), atol=1e-12
    )
    np.testing.assert_array_equal(result.support, np.bincount(y, minlength=7))


def test_defined_averages_agree_with_scikit_learn() -> None:
    prediction, target = _labels(3)
    keep = target != 255
    y, p = target[keep], prediction[keep]
    result = scores(confusion_matrix(prediction, target, 7), average_over='reference_or_prediction').overall
    common = dict(labels=range(7), average='macro', zero_division=np.nan)
    assert result['macro_precision'] == pytest.approx(sk.precision_score(y, p, **common), abs=1e-12)
    assert result['macro_recall'] == pytest.approx(sk.recall_score(y, p, **common), abs=1e-12)
    assert result['macro_F1'] == pytest.approx(sk.f1_score(y, p, **common), abs=1e-12)


def test_scores_of_the_reference_submatrix_agree_with_scikit_learn() -> None:
    prediction, target = _labels(5)
    keep = target != 255
    y, p = target[keep], prediction[keep]
    result = scores(confusion_matrix(prediction, target, 7), average_over='reference_submatrix')
    part = sk.confusion_matrix(y, p, labels=np.unique(y))
    iou = part.diagonal() / (part.sum(0) + part.sum(1) - part.diagonal())
    assert result.overall['mIoU'] == pytest.approx(iou.mean(), abs=1e-12)
    # Class 5 is predicted and not in the reference: scikit-learn's mean over both counts it as 0.
    assert (p == 5).any()
    common = dict(average='macro', zero_division=0)
    assert result.overall['macro_F1'] == pytest.approx(sk.f1_score(y, p, **common), abs=1e-12)
    assert result.overall['macro_precision'] == pytest.approx(sk.precision_score(y, p, **common), abs=1e-12)
    assert result.overall['macro_recall'] == pytest.approx(sk.recall_score(y, p, **common), abs=1e-12)
    assert result.overall['OA'] == pytest.approx((y == p).mean(), abs=1e-12)


def test_class_without_prediction_scores_zero_and_class_without_reference_is_left_out() -> None:
    # Class 1 is never predicted; class 2 is predicted once but never true.
    confusion = np.array([[3, 0, 1], [2, 0, 0], [0, 0, 0]])
    result = scores(confusion)
    assert result.overall['mIoU'] == pytest.approx((3 / 6 + 0) / 2)
    assert result.overall['macro_precision'] == pytest.approx((3 / 5 + 0) / 2)
    assert scores(confusion, average_over='reference_or_prediction').overall['mIoU'] == pytest.approx(3 / 6 / 3)


def test_over_all_classes_what_is_undefined_counts_as_zero() -> None:
    # Class 3 occurs nowhere, class 4 is excluded.
    confusion = np.zeros((5, 5), dtype=np.int64)
    confusion[:3, :3] = [[3, 0, 1], [2, 0, 0], [0, 0, 0]]
    confusion[4, 4] = 7
    result = scores(confusion, excluded_classes=[4], average_over='all').overall
    assert result['mIoU'] == pytest.approx(3 / 6 / 4)
    assert result['macro_precision'] == pytest.approx(3 / 5 / 4)


def test_golden_figures_of_the_published_evaluation() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        meta = json.loads(str(golden['meta']))
        prediction = golden['in/metric_scores'].argmax(1)
        target = golden['in/metric_target']
        confusion = confusion_matrix(prediction, target, 20, ignore_index=None)
        np.testing.assert_array_equal(confusion, golden['out/confusion'])
        miou, accuracy, helper = (float(golden[f'out/{n}'][0]) for n in ('miou', 'accuracy', 'miou_helper'))
    void_rule = scores(confusion, excluded_classes=[19], average_over='reference_or_prediction').overall
    assert 100 * void_rule['mIoU'] == pytest.approx(miou, abs=1e-9)
    assert 100 * void_rule['OA'] == pytest.approx(accuracy, abs=1e-9)
    assert scores(confusion, average_over='reference_or_prediction').overall['mIoU'] == pytest.approx(helper, abs=1e-9)
    published = meta['overall_from_confusion_without_void']
    for ours, theirs in {
        'mIoU': 'MACRO_IoU',
        'macro_precision': 'MACRO_Precision',
        'macro_recall': 'MACRO_Recall',
        'macro_F1': 'MACRO_F1-score',
        'OA': 'Accuracy',
    }.items():
        assert void_rule[ours] == pytest.approx(published[theirs], abs=1e-9)


def test_kappa_survives_counts_whose_product_exceeds_64_bits() -> None:
    confusion = np.array([[4, 1], [2, 3]], np.int64)
    assert scores(confusion * 10**12).overall['kappa'] == pytest.approx(scores(confusion).overall['kappa'])


def test_wrong_labels_are_named() -> None:
    with pytest.raises(ValueError, match='reference holds class indices from 0 to 9'):
        confusion_matrix(np.array([0, 1]), np.array([0, 9]), 3)
    with pytest.raises(ValueError, match='prediction holds class indices from 0 to 3'):
        confusion_matrix(torch.tensor([0, 3]), torch.tensor([0, 1]), 3)
    with pytest.raises(ValueError, match='shape'):
        confusion_matrix(np.zeros((2, 2), int), np.zeros(3, int), 3)


def _metric(**kwargs: object) -> SeriesSegmentationMetric:
    metric = SeriesSegmentationMetric(**kwargs)
    metric.dataset_meta = dict(classes=tuple(f'crop {i}' for i in range(7)))
    return metric


def _batches(sizes: tuple[int, ...]) -> list[dict]:
    prediction, target = (torch.from_numpy(array).view(10, 20, 20) for array in _labels(4))
    observed = torch.ones(10, 20, 20, dtype=torch.bool)
    observed[0] = False
    cuts = np.cumsum((0, *sizes))
    return [
        dict(prediction=prediction[a:b].to(torch.uint8), targets=target[a:b], observed=observed[a:b])
        for a, b in itertools.pairwise(cuts)
    ]


def test_figures_do_not_depend_on_the_batch_size() -> None:
    results = []
    for sizes in [(10,), (1,) * 10, (3, 3, 4)]:
        metric = _metric()
        for batch in _batches(sizes):
            metric.process(None, [batch])
        results.append(metric.evaluate(10))
    assert results[0] == results[1] == results[2]
    assert all(type(value) is float for value in results[0].values())


def test_results_are_written_with_definition_and_unobserved_share(tmp_path: Path) -> None:
    out = tmp_path / 'result.json'
    metric = _metric(out=str(out), prefix='test', log_per_class=True, excluded_classes=['crop 6'])
    for batch in _batches((5, 5)):
        metric.process(None, [batch])
    metrics = metric.evaluate(10)
    content = json.loads(out.read_text())
    assert metrics['test/OA'] == content['overall']['OA']
    assert metrics['test/IoU/crop 1'] == content['per_class']['crop 1']['IoU']
    assert content['per_class']['crop 5']['recall'] is None
    assert content['unobserved_pixels'] == int((_batches((10,))[0]['targets'][0] != 255).sum())
    assert np.sum(content['confusion_matrix']) == int((_batches((10,))[0]['targets'] != 255).sum())
    assert 'means over the classes that occur in the reference' in content['definition']
    assert 'crop 6' in content['definition']


def test_npz_holds_the_matrix(tmp_path: Path) -> None:
    out = tmp_path / 'result.npz'
    metric = _metric(out=str(out))
    batch = _batches((10,))[0]
    metric.process(None, [batch])
    metric.evaluate(10)
    with np.load(out, allow_pickle=False) as content:
        np.testing.assert_array_equal(content['confusion'], confusion_matrix(batch['prediction'], batch['targets'], 7))


def test_state_is_cleared_between_evaluations() -> None:
    metric = _metric()
    batch = _batches((10,))[0]
    metric.process(None, [batch])
    first = metric.evaluate(10)
    metric.process(None, [batch])
    assert metric.evaluate(10) == first


def test_unlabelled_data_are_refused() -> None:
    with pytest.raises(ValueError, match='no labels'):
        _metric().process(None, [dict(prediction=torch.zeros(1, 2, 2), targets=None)])
