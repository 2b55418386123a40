"""Published TimeMatch weights: read, renamed, checked."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.engine import CheckpointError, load_config, read_published_weights
from mmsits.engine.hooks.checkpoint_contract_hook import compare_weights
from mmsits.models.converters import convert_timematch, timematch_options
from tests.helpers.forked_tools import run_tools

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / 'tests' / 'data' / 'parity'
NETWORKS = {
    'pseltae': 'TimeMatchLTAE',
    'pseltae_extra': 'TimeMatchLTAE',
    'pse_tae': 'TAE',
    'pse_gru': 'SeriesGRU',
    'pse_tempcnn': 'TempCNN',
}
every_network = pytest.mark.parametrize('name', NETWORKS)


def published_weights(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f'timematch_{name}.npz') as data:
        return {key[len('param/') :]: torch.from_numpy(data[key]) for key in data.files if key.startswith('param/')}


@every_network
def test_options_are_read_from_the_shapes(name: str) -> None:
    with np.load(GOLDEN / f'timematch_{name}.npz') as data:
        hparams = json.loads(str(data['meta']))['hparams']
    options = timematch_options(published_weights(name))
    backbone, encoder, head = options['backbone'], options['backbone']['encoder'], options['decode_head']
    assert [backbone['in_channels'], *backbone['mlp1']] == hparams['mlp1']
    assert backbone['mlp2'] == hparams['mlp2'][1:]
    assert backbone['geometry_channels'] == (hparams['extra_size'] if hparams['with_extra'] else 0)
    assert [head['in_channels'], *head['hidden_channels']] == hparams['mlp4']
    assert head['num_classes'] == hparams['num_classes']
    assert encoder['type'] == NETWORKS[name]
    assert encoder['period'] == hparams.get('T', 1000)
    assert encoder['day_offset'] == hparams['max_temporal_shift']
    for ours, theirs in dict(
        n_head='n_head', d_k='d_k', d_model='d_model', conv_channels='nker', length='seq_len', mlp='mlp3'
    ).items():
        if ours in encoder and theirs in hparams:
            assert encoder[ours] == hparams[theirs], ours


@every_network
def test_converted_weights_are_those_of_a_segmentor(name: str) -> None:
    published = published_weights(name)
    options, weights = timematch_options(published), convert_timematch(published)
    model = MODELS.build(dict(type='TemporalEncoderDecoder', **options))
    assert compare_weights(model.state_dict(), weights) == ''
    # Everything but the table of day encodings.
    assert len(weights) == len(published) - 1


def test_weights_of_the_config_in_use() -> None:
    cfg = load_config(ROOT / 'configs' / '_base_' / 'models' / 'pse_ltae.py')
    cfg.model.decode_head.num_classes = 6
    model = MODELS.build(cfg.model)
    assert compare_weights(model.state_dict(), convert_timematch(published_weights('pseltae'))) == ''


def test_the_table_of_days_may_be_missing_but_not_another(tmp_path: Path) -> None:
    published = published_weights('pseltae')
    table = published.pop('temporal_encoder.positional_enc.weight')
    assert timematch_options(published)['backbone']['encoder']['day_offset'] == 100
    longer = torch.cat([table[:1], table, table[-1:]])  # 567 rows, yet the first day is still -100
    with pytest.raises(ValueError, match='table of day encodings'):
        convert_timematch({**published, 'temporal_encoder.positional_enc.weight': longer})


def test_missing_and_unknown_parameters_are_named() -> None:
    published = published_weights('pseltae')
    without = {key: value for key, value in published.items() if key != 'decoder.0.norm.bias'}
    with pytest.raises(ValueError, match=r'1 of \d+ parameters are missing .*decode_head\.layers\.0\.norm\.bias'):
        convert_timematch(without)
    with pytest.raises(ValueError, match=r'1 are unknown .*discriminator\.0'):
        convert_timematch({**published, 'discriminator.0': torch.zeros(1)})
    with pytest.raises(ValueError, match='no parameter'):
        convert_timematch({'some.other.network': torch.zeros(1)})
    with pytest.raises(ValueError, match='shapes that do not fit'):
        convert_timematch({**published, 'decoder.0.norm.bias': torch.zeros(3)})
    with pytest.raises(ValueError, match='another pooling'):
        convert_timematch({**published, 'spatial_encoder.mlp2.0.linear.weight': torch.zeros(128, 64)})


def test_the_tool_writes_a_checkpoint_that_loads(tmp_path: Path) -> None:
    published = published_weights('pseltae_extra')
    # As the published code writes it: the score is a number of numpy.
    torch.save({'epoch': 3, 'state_dict': published, 'best_f1': np.float64(0.5)}, tmp_path / 'model.pt')
    (tmp_path / 'text.pt').write_text('no checkpoint')
    tool, log = ROOT / 'tools' / 'model_converters' / 'timematch.py', tmp_path / 'log'
    runs = [
        dict(argv=[tool, tmp_path / name, tmp_path / f'{name}.pth'], log=log.with_suffix(f'.{name}'))
        for name in ('model.pt', 'text.pt')
    ]
    assert run_tools([runs]) == [[0, 1]]
    assert 'geometry_channels=4' in log.with_suffix('.model.pt').read_text()
    checkpoint = torch.load(tmp_path / 'model.pt.pth', weights_only=True)
    assert checkpoint['state_dict'].keys() == convert_timematch(published).keys()
    message = log.with_suffix('.text.pt').read_text()
    assert 'text.pt' in message
    assert 'Traceback' not in message
    assert not (tmp_path / 'text.pt.pth').exists()


def test_files_of_older_numpy_are_read(tmp_path: Path) -> None:
    # The legacy format holds names as plain text and has no checksums, so that the old name can be put in.
    published = published_weights('pseltae_extra')
    content = {'state_dict': published, 'best_f1': np.float64(0.5)}
    torch.save(content, tmp_path / 'model.pt', _use_new_zipfile_serialization=False)
    old = (tmp_path / 'model.pt').read_bytes().replace(b'numpy._core.multiarray', b'numpy.core.multiarray')
    assert b'numpy.core.multiarray' in old
    (tmp_path / 'model.pt').write_bytes(old)
    assert read_published_weights(tmp_path / 'model.pt').keys() == published.keys()


class Payload:
    def __reduce__(self) -> tuple:
        return print, ('code of the checkpoint ran',)


def test_files_that_are_no_weights_are_named_and_run_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'code.pt').write_bytes(pickle.dumps(Payload(), protocol=2))
    torch.save({'state_dict': Payload()}, tmp_path / 'zipped.pt')
    torch.save({'state_dict': {'a': 1}}, tmp_path / 'numbers.pt')
    for name in ('code.pt', 'zipped.pt', 'numbers.pt'):
        with pytest.raises(CheckpointError, match=name):
            read_published_weights(tmp_path / name)
    assert 'code of the checkpoint ran' not in capsys.readouterr().out
