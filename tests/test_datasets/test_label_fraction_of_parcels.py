"""A share of the labels: classes in proportion, the same for a seed, larger shares containing smaller ones."""

import logging
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets import DataError, SeriesTableDataset, parcel_dataset
from mmsits.datasets.label_fraction import lost_classes, stratified_share
from tests.helpers.series_tables import write_series_table

LABELS = np.repeat([0, 1, 2, 255, 3], [600, 300, 100, 50, 4])


def test_classes_keep_their_proportions() -> None:
    chosen = stratified_share(LABELS, 0.1)
    assert np.bincount(LABELS[chosen], minlength=256)[[0, 1, 2, 3, 255]].tolist() == [60, 30, 10, 0, 0]
    assert lost_classes(LABELS, chosen, ['a', 'b', 'c', 'd']) == ['d']
    assert len(stratified_share(LABELS, 1.0)) == 1004
    assert len(stratified_share(LABELS, 1e-6)) == 1


def test_a_seed_draws_the_same_and_another_one_others() -> None:
    first, again, other = (stratified_share(LABELS, 0.05, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(np.bincount(LABELS[first]), np.bincount(LABELS[other]))


def test_a_larger_share_contains_a_smaller_one() -> None:
    shares = [set(stratified_share(LABELS, share, 3).tolist()) for share in (0.01, 0.013, 0.05, 0.1, 0.5, 1)]
    assert all(small < large for small, large in pairwise(shares))


def test_shares_that_make_no_sense_are_refused() -> None:
    for share in (0, 1.5, -0.1):
        with pytest.raises(ValueError, match='label_fraction must lie above 0'):
            stratified_share(LABELS, share)
    with pytest.raises(DataError, match='no sample has a label'):
        stratified_share(np.full(3, 255), 0.5)


def test_a_dataset_keeps_its_share_and_names_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(parcel_dataset, 'print_log', lambda text, _, level: told.append((text, level)))
    write_series_table(tmp_path / 'fields.npz', 60)

    def open_(**options: object) -> SeriesTableDataset:
        dataset = SeriesTableDataset(str(tmp_path), table='fields.npz', **options)
        dataset.full_init()
        return dataset

    whole, small, same = open_(), open_(label_fraction=0.2), open_(label_fraction=0.2)
    assert len(small) == 12
    ids = [small.get_data_info(index)['sample_id'] for index in range(12)]
    assert ids == [same.get_data_info(index)['sample_id'] for index in range(12)]
    assert len(small.labels) == 12
    assert small.metainfo['classes'] == whole.metainfo['classes']
    assert {level for _, level in told} == {logging.INFO}
    tiny = open_(label_fraction=0.001)
    assert len(tiny) == 1
    kept = whole.metainfo['classes'][tiny.labels[0]]
    (warning,) = [text for text, level in told if level == logging.WARNING]
    assert all((name in warning.rpartition(':')[2]) == (name != kept) for name in whole.metainfo['classes'])
    with pytest.raises(ValueError, match='with_labels=False'):
        open_(label_fraction=0.5, with_labels=False)
    with pytest.raises(ValueError, match='label_fraction must lie'):
        open_(label_fraction=0)
