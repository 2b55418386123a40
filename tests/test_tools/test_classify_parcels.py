"""Tables of classified parcels: complete, resumable, the same however they are cut into batches and parts."""

import csv
import math
import os

import pytest
from pyarrow import parquet

from mmsits.apis import parcel_tables
from mmsits.apis.domains import load_network, open_domains
from mmsits.apis.parcel_tables import PartedTable
from mmsits.datasets.packed_parcels import pack_parcels
from mmsits.datasets.parcel_store import read_domain_metadata
from mmsits.datasets.zarr_parcels import ZarrParcels
from tests.helpers.parcel_network import call, write_parcel_network
from tools.analysis_tools import classify_parcels

PARCELS = 40


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    return write_parcel_network(tmp_path_factory.mktemp('classify'), steps=150, parcels=PARCELS)


def rows_of(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_every_parcel_has_class_probabilities_and_entropy(trained, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'table.csv'
    assert call(classify_parcels, monkeypatch, *trained, '--out', out, '--domains', 'DK1', 'FR1') == 0
    rows = rows_of(out)
    assert [row['id'] for row in rows] == [str(1000 + n) for n in range(PARCELS)] * 2
    assert [row['domain'] for row in rows] == ['DK1'] * PARCELS + ['FR1'] * PARCELS
    classes = [name for name in rows[0] if name.startswith('p_')]
    assert len(classes) == 4
    for row in rows:
        p = [float(row[name]) for name in classes]
        assert sum(p) == pytest.approx(1, abs=1e-4)
        assert row['class'] == classes[p.index(max(p))][2:]
        assert float(row['probability']) == pytest.approx(max(p))
        assert float(row['entropy']) == pytest.approx(-sum(x * math.log(x) for x in p if x), abs=1e-3)
        assert 3 <= int(row['pixels']) <= 12
        assert row['dates'] == '24'
    truth = ['meadow', 'corn', 'winter_wheat', 'unknown']
    assert sum(row['class'] == truth[n % 4] for n, row in enumerate(rows[:PARCELS])) > 0.9 * PARCELS
    assert '80 parcels' in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ['table.csv']


def test_batches_parts_and_storage_do_not_change_the_table(trained, tmp_path, monkeypatch):
    assert call(classify_parcels, monkeypatch, *trained, '--out', tmp_path / 'a.csv') == 0
    folder = trained[0].parent / 'data' / 'france/30TXT/2017'
    pack_parcels(ZarrParcels(folder, read_domain_metadata(folder / 'meta' / 'metadata.pkl'), 10), folder)
    small = ('--batch-size', 3, '--max-pixels', 20, '--part-size', 7)
    assert call(classify_parcels, monkeypatch, *trained, '--out', tmp_path / 'b.parquet', *small) == 0
    table = parquet.read_table(tmp_path / 'b.parquet').to_pylist()
    for row, other in zip(rows_of(tmp_path / 'a.csv'), table, strict=True):
        assert (row['id'], row['class'], int(row['pixels'])) == (other['id'], other['class'], other['pixels'])
        assert float(row['p_corn']) == pytest.approx(other['p_corn'], abs=1e-5)


def test_a_stopped_run_goes_on(trained, tmp_path, monkeypatch):
    out, options = tmp_path / 'table.csv', ('--part-size', 10)
    predicted, predict = [], parcel_tables.predict_parcels

    def fail_at_third(network, dataset, samples, *args, **kwargs):
        if len(predicted) == 2:
            raise KeyboardInterrupt
        predicted.append(samples)
        return predict(network, dataset, samples, *args, **kwargs)

    monkeypatch.setattr(parcel_tables, 'predict_parcels', fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        call(classify_parcels, monkeypatch, *trained, '--out', out, *options)
    assert not out.exists()
    predicted.clear()
    with pytest.raises(KeyboardInterrupt):
        call(classify_parcels, monkeypatch, *trained, '--out', out, *options, '--shift', 5)
    assert [part.start for part in predicted] == [0, 10], 'parts of another shift were reused'
    predicted.clear()
    monkeypatch.setattr(
        parcel_tables, 'predict_parcels', lambda *args, **kwargs: predicted.append(args[2]) or predict(*args, **kwargs)
    )
    assert call(classify_parcels, monkeypatch, *trained, '--out', out, *options, '--shift', 5) == 0
    assert [part.start for part in predicted] == [20, 30]
    assert len(rows_of(out)) == PARCELS


def test_parts_of_parcels_that_changed_since_are_not_reused(trained, tmp_path, monkeypatch):
    made_from = []

    class Stop(PartedTable):
        def __init__(self, path, description):
            super().__init__(path, description)
            made_from.append(self._digest)
            raise KeyboardInterrupt

    monkeypatch.setattr(classify_parcels, 'PartedTable', Stop)
    (dataset,) = open_domains(load_network(*trained)).values()
    ((path, changed),) = classify_parcels.stores_of(dataset)
    for time in (changed, changed, changed + 10**9):
        os.utime(path, ns=(time, time))
        with pytest.raises(KeyboardInterrupt):
            call(classify_parcels, monkeypatch, *trained, '--out', tmp_path / 'table.csv')
    assert made_from[0] == made_from[1] != made_from[2]


@pytest.mark.parametrize(
    ('arguments', 'status', 'sentence'),
    [
        (('--out', 'table.txt'), 2, '.csv or .parquet'),
        (('--out', 'there.csv'), 2, '--overwrite'),
        (('--out', 'a.csv', '--part-size', '0'), 2, '--part-size'),
        (('--out', 'a.csv', '--domains', 'XY'), 1, 'neither'),
        (('--out', 'a.csv', '--cfg-options', 'test_dataloader.dataset.season_start=03-01'), 1, 'season_start'),
    ],
)
def test_bad_input_ends_with_a_sentence(trained, tmp_path, monkeypatch, capsys, arguments, status, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'there.csv').write_text('')
    assert call(classify_parcels, monkeypatch, *trained, *arguments) == status
    assert sentence in capsys.readouterr().err


def test_a_damaged_parcel_is_named(tmp_path, monkeypatch, capsys):
    config, checkpoint = write_parcel_network(tmp_path / 'own')
    (tmp_path / 'own/data/france/30TXT/2017/data/7.zarr/0.0.0').write_bytes(b'damaged')
    assert call(classify_parcels, monkeypatch, config, checkpoint, '--out', tmp_path / 'a.csv') == 1
    assert '7' in capsys.readouterr().err
    assert not (tmp_path / 'a.csv').exists()


def test_each_group_is_moved_by_its_own_estimate(trained, tmp_path, monkeypatch):
    groups = tmp_path / 'groups.csv'
    groups.write_text('id,valley\n' + ''.join(f'{1000 + n},{"north" if n < 10 else "south"}\n' for n in range(PARCELS)))
    shifts = tmp_path / 'shifts.csv'
    shifts.write_text('domain,group,add_days,trusted\nDK1,north,-25,True\n')
    run = (classify_parcels, monkeypatch, *trained, '--domains', 'DK1')
    assert call(*run, '--out', tmp_path / 'still.csv') == 0
    assert call(*run, '--out', tmp_path / 'moved.csv', '--shift', -25) == 0
    options = ('--shifts', shifts, '--group-by', 'valley', '--groups', groups)
    assert call(*run, '--out', tmp_path / 'grouped.csv', *options) == 0
    still, moved, grouped = (rows_of(tmp_path / f'{name}.csv') for name in ('still', 'moved', 'grouped'))
    assert moved != still
    assert grouped == moved[:10] + still[10:]


def test_a_table_that_holds_no_shifts_is_named(trained, tmp_path, monkeypatch, capsys):
    (tmp_path / 'shifts.csv').write_text('domain,days\nDK1,3\n')
    run = (
        classify_parcels,
        monkeypatch,
        *trained,
        '--out',
        tmp_path / 'table.csv',
        '--shifts',
        tmp_path / 'shifts.csv',
    )
    assert call(*run) != 0
    message = capsys.readouterr().err
    assert 'shifts.csv' in message
    assert 'estimate_shift.py' in message
