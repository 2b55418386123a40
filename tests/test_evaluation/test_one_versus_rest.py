"""Each crop against all else: published figures, scikit-learn's curves, what does not count."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from mmsits.evaluation import OneVersusRestMetric, ThresholdCounts, crop_probability, crop_truth
from mmsits.parity.golden import GoldenFile
from mmsits.structures import SampleMeta, binary_maps

GOLDEN = Path(__file__).parents[1] / 'data' / 'parity' / 'cropmapping_losses_metrics.npz'
CLASSES = ('pea', 'maize', 'other')


def test_scores_at_a_threshold_are_the_published_ones():
    golden = GoldenFile(GOLDEN)
    p, target = golden.tensor('in/p'), golden.tensor('in/target').long()
    cases = golden.meta['dataset_metrics']
    counts = ThresholdCounts(p.shape[1], [float(name.rpartition('th')[2]) for name in cases])
    for start in (0, 2):  # counts of batches add up
        counts.add(p[start : start + 2], target[start : start + 2])
    for name, expected in cases.items():
        channel, _, threshold = name.removeprefix('channel').partition('_th')
        assert counts.at(int(channel), float(threshold)).as_published() == pytest.approx(expected, abs=1e-12)


def test_the_area_below_the_curve_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    truth = random.random(4000) < 0.2
    # Probabilities on the thresholds, so that both know the same steps.
    p = np.round(np.clip(random.normal(0.35 + 0.3 * truth, 0.2), 0, 1), 2).astype(np.float32)
    counts = ThresholdCounts(1, np.arange(101) / 100)
    counts.add(torch.from_numpy(p).view(1, 1, 40, 100), torch.from_numpy(truth).long().view(1, 1, 40, 100))
    assert counts.average_precision(0) == pytest.approx(sk.average_precision_score(truth, p), abs=1e-9)
    at = counts.at(0, 0.5)
    assert at.f1 == pytest.approx(sk.f1_score(truth, p >= np.float32(0.5)))
    assert (at.pixels, at.others) == (truth.sum(), (~truth).sum())


def test_a_threshold_that_was_not_counted_is_refused():
    with pytest.raises(ValueError, match='not among the thresholds'):
        ThresholdCounts(1, [0.5]).at(0, 0.4)


def test_what_is_known_of_a_pixel_is_what_the_head_trains_on():
    labels = torch.tensor([[[0, 1, 2, 255], [128, 129, 255, 0]]])
    assert torch.equal(crop_truth(labels, 2), binary_maps(labels, 2))
    published = crop_truth(labels, 2, unlabelled_is_other=True)
    assert set(published.unique().tolist()) == {0, 1}
    assert torch.equal(published == 1, binary_maps(labels, 2) == 1)


def test_probabilities_of_a_multi_label_head_do_not_depend_on_its_threshold():
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for threshold in (0.2, 0.5):
        rest = torch.full((2, 1, 4, 4), math.log(threshold / (1 - threshold)))
        p = crop_probability(torch.cat([logits, rest], 1), threshold)
        torch.testing.assert_close(p, logits.sigmoid())
    assert crop_probability(logits).sum(1) == pytest.approx(1)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    targets = torch.tensor([0, 1, 2, 255])[torch.randint(0, 4, (2, 8, 8), generator=generator)]
    return dict(
        logits=torch.randn(2, 3, 8, 8, generator=generator) + 3 * (targets[:, None] == torch.arange(3)[:, None, None]),
        targets=targets,
        metas=[SampleMeta(crop='pea'), SampleMeta(crop='maize')],
    )


def evaluated(metric, *batches):
    metric.dataset_meta = dict(classes=CLASSES)
    for one in batches:
        metric.process(None, [one])
    return metric.evaluate(2 * len(batches))


def test_the_metric_scores_each_class_and_writes_what_was_published(tmp_path):
    found = evaluated(OneVersusRestMetric(0.35, out_dir=str(tmp_path)), batch(0), batch(1))
    known = [one['targets'] != 255 for one in (batch(0), batch(1))]
    truth = np.concatenate([one['targets'][k].numpy() == 0 for one, k in zip((batch(0), batch(1)), known, strict=True)])
    guess = np.concatenate(
        [
            (one['logits'].softmax(1)[:, 0] >= 0.35)[k].numpy()
            for one, k in zip((batch(0), batch(1)), known, strict=True)
        ]
    )
    assert found['F1/pea'] == pytest.approx(sk.f1_score(truth, guess))
    assert found['mean_F1'] == pytest.approx(np.mean([found[f'F1/{name}'] for name in CLASSES]))
    [path] = tmp_path.glob('results_pea_Threshold_0.35_??-??-????.json')
    content = json.loads(path.read_text())['Pea_Test']
    assert list(content) == ['accuracy', 'true_positive_rate (recall)', 'true_negative_rate', 'precision', 'f1_score']
    assert content['f1_score'] == pytest.approx(found['F1/pea'])
    assert (tmp_path / 'pr_curves.png').read_bytes().startswith(b'\x89PNG')
    assert (tmp_path / 'thresholds.csv').read_text().count('\npea,') == 101


def test_unlabelled_pixels_count_only_if_asked_for():
    sound = evaluated(OneVersusRestMetric(0.3), batch())
    published = evaluated(OneVersusRestMetric(0.3, unlabelled_is_other=True), batch())
    assert published['recall/pea'] == sound['recall/pea']
    assert published['precision/pea'] < sound['precision/pea']


def test_a_crop_is_scored_on_its_own_samples_if_asked_for():
    one = batch()
    alone = {**one, 'logits': one['logits'][:1], 'targets': one['targets'][:1], 'metas': one['metas'][:1]}
    own = evaluated(OneVersusRestMetric(0.5, own_samples=True), one)
    first = evaluated(OneVersusRestMetric(0.5), alone)
    assert own['F1/pea'] == first['F1/pea']
    assert math.isnan(own['F1/other'])
    # Patches of all crops, or of none in particular, would be left out of all scores without a word.
    for metas, words in (
        ((SampleMeta(), SampleMeta()), 'do not say.*meta_keys'),
        *(
            ((SampleMeta(crop='pea'), SampleMeta(crop=name)), words)
            for name, words in (('all_crops', "about 'all_crops', none of.*pea"), ('', 'do not say'))
        ),
    ):
        with pytest.raises(ValueError, match=words):
            evaluated(OneVersusRestMetric(0.5, own_samples=True), {**one, 'metas': metas})


def test_mistakes_are_named():
    with pytest.raises(ValueError, match='from 0 to 1'):
        OneVersusRestMetric(35)
    with pytest.raises(ValueError, match=r"\['wheat'\].*pea"):
        evaluated(OneVersusRestMetric(crops=['wheat']), batch())
    with pytest.raises(ValueError, match='no labels'):
        evaluated(OneVersusRestMetric(), {**batch(), 'targets': None})
    with pytest.raises(ValueError, match='NaN'):
        evaluated(OneVersusRestMetric(), {**batch(), 'logits': torch.full((2, 3, 8, 8), torch.nan)})
    misspelt = OneVersusRestMetric(crops=['maise'])
    misspelt.dataset_meta = dict(classes=CLASSES)
    with pytest.raises(ValueError, match='maise'):
        misspelt.process(None, [batch()])
