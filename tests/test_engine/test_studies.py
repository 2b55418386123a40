"""Trainings of a study are done once, and again if they did not come to their end."""

import pytest

from mmsits.engine.studies import train_once


def test_a_training_that_ended_is_not_repeated_and_one_that_broke_off_is(tmp_path, capsys):
    checkpoint = tmp_path / 'runs' / 'pretraining' / 'iter_4.pth'
    runs = []

    def broken():
        runs.append('broken')
        raise RuntimeError('out of memory')

    with pytest.raises(RuntimeError):
        train_once(checkpoint, broken)
    train_once(checkpoint, lambda: runs.append('whole'))
    train_once(checkpoint, lambda: runs.append('again'))
    assert runs == ['broken', 'whole']
    assert capsys.readouterr().out.startswith('pretraining: 0.0 min')
