"""The checks of U-TAE's baselines notice what differs."""

from pathlib import Path

import numpy as np
import pytest

from mmsits.parity import check_file

FOLDER = Path(__file__).parents[1] / 'data' / 'parity'


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('unet3d', 'out/out8'),
        ('unet3d', 'param/final.weight'),
        ('unet3d', 'param/en3.1.running_mean'),
        ('uconvlstm', 'out/lstm_map0'),
        ('uconvlstm', 'param_bconvlstm_seg/convlstm_backward.cell_list.0.conv.bias'),
        ('uconvlstm', 'param_convgru_seg/convgru_encoder.cell_list.0.out_conv.weight'),
        ('uconvlstm', 'param_fpn/outconv.bias'),
    ],
)
def test_a_value_changed_makes_it_fail(name: str, key: str, tmp_path: Path) -> None:
    with np.load(FOLDER / f'{name}.npz', allow_pickle=False) as data:
        arrays = {entry: data[entry] for entry in data.files}
    arrays[key] = arrays[key] + 1e-1
    np.savez(tmp_path / f'{name}.npz', **arrays)
    report = check_file(tmp_path / f'{name}.npz')
    assert report is not None
    assert not report.passed
