"""The check of TimeMatch's networks notices what differs."""

from pathlib import Path

import numpy as np
import pytest

from mmsits.parity import check_file

FOLDER = Path(__file__).parents[1] / 'data' / 'parity'
NAMES = (
    *('pseltae', 'pseltae_extra', 'pse_tae', 'pse_gru', 'pse_tempcnn'),
    *('posenc', 'focal', 'source_steps'),
)


def test_the_files_are_there() -> None:
    assert all((FOLDER / f'timematch_{name}.npz').exists() for name in NAMES)


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('pseltae_extra', 'out/logits_shift_minus60'),
        ('pseltae_extra', 'in/extra'),
        ('pse_tae', 'out/attention'),
        ('pse_gru', 'param/temporal_encoder.gru_cell.weight_hh_l0'),
        ('pse_tempcnn', 'out/after_bn/temporal_encoder.conv1d.1.running_var'),
        ('posenc', 'out/table_d128_rows'),
        ('focal', 'out/grad_gamma0.5'),
        ('source_steps', 'out/final/decoder.0.norm.running_mean'),
        ('source_steps', 'out/sgd_group_lr'),
    ],
)
def test_a_value_changed_makes_it_fail(name: str, key: str, tmp_path: Path) -> None:
    with np.load(FOLDER / f'timematch_{name}.npz', allow_pickle=False) as data:
        arrays = {entry: data[entry] for entry in data.files}
    arrays[key] = arrays[key] + 1e-2
    np.savez(tmp_path / f'timematch_{name}.npz', **arrays)
    report = check_file(tmp_path / f'timematch_{name}.npz')
    assert report is not None
    assert not report.passed
