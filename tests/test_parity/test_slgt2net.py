"""The checks of SL-GT2Net notice what differs."""

from pathlib import Path

import numpy as np
import pytest

from mmsits.parity import check_file
from mmsits.parity.filled import filled_parameters
from mmsits.parity.golden import GoldenFile

FOLDER = Path(__file__).parents[1] / 'data' / 'parity'
NAMES = (
    *('backbone_flag1_t12', 'backbone_flag1_topk2', 'backbone_flag2', 'backbone_grad'),
    *('block_global_layerscale', 'block_local', 'crm', 'global_attn_topk2', 'head_loss', 'keys_brandenburg'),
    *('keys_slovenia', 'local_attn_nobias_scale', 'local_attn_nopad_topk3', 'local_attn_relpos', 'local_attn_topk2'),
    *('metrics', 'mlp', 'patchembed_merge', 'patchmerge_flag2', 'patchmerge_reduce', 'poscnn', 'pyramidpooling'),
    *('stcrb',),
)


def test_the_files_are_there() -> None:
    assert all((FOLDER / f'slgt2_{name}.npz').exists() for name in NAMES)


@pytest.mark.parametrize(
    ('name', 'key'),
    [
        ('backbone_flag1_t12', 'out/enc3_mean_abs'),
        ('backbone_flag1_t12', 'out/dec_mean_abs'),
        ('backbone_flag1_topk2', 'in/x'),
        ('block_global_layerscale', 'param/gamma2'),
        ('local_attn_relpos', 'param/relative_position_bias_params_1'),
        ('local_attn_topk2', 'param/qkv.bias'),
        ('patchembed_merge', 'out/size'),
        ('head_loss', 'out/grad_fl_cel_classweight'),
        ('keys_slovenia', 'out/params_unused'),
        ('metrics', 'out/mPrecision'),
    ],
)
def test_a_value_changed_makes_it_fail(name: str, key: str, tmp_path: Path) -> None:
    with np.load(FOLDER / f'slgt2_{name}.npz', allow_pickle=False) as data:
        arrays = {entry: data[entry] for entry in data.files}
    changed = arrays[key].copy()
    changed.flat[changed.size // 2] += 1 if changed.dtype.kind == 'i' else 1e-1
    np.savez(tmp_path / f'slgt2_{name}.npz', **{**arrays, key: changed})
    report = check_file(tmp_path / f'slgt2_{name}.npz')
    assert report is not None
    assert not report.passed


def test_filled_parameters_are_those_that_the_file_was_made_with() -> None:
    meta = GoldenFile(FOLDER / 'slgt2_backbone_flag2.npz').meta
    assert len(filled_parameters(meta)) == len(meta['keys'])
    with pytest.raises(ValueError, match='sum up'):
        filled_parameters({**meta, 'base': meta['base'] + 1})
    name = meta['keys'][0][0]
    assert (filled_parameters({**meta, 'after_fill': {name: 0.5}})[name] == 0.5).all()
