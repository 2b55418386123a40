"""A model from config and checkpoint, from Python."""

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS

from mmsits.apis import init_model, predict_sample
from mmsits.apis.domains import load_network
from mmsits.engine.errors import CheckpointError
from tests.helpers.pastis_miniature import write_pastis_miniature

PIPELINE = [dict(type='LoadSeries'), dict(type='LoadSeriesLabels'), dict(type='PackSeriesInputs')]


def config(widths=(8, 16)):
    head = dict(type='UTAEHead', in_channels=8, channels=8, num_classes=20)
    backbone = dict(type='UTAE', in_channels=10, encoder_widths=widths, decoder_widths=widths, n_head=4, d_model=16)
    preprocessor = dict(type='SeriesDataPreprocessor', sensors=dict(s2=10))
    model = dict(type='TemporalEncoderDecoder', data_preprocessor=preprocessor, backbone=backbone)
    return Config(dict(default_scope='mmseg', model=dict(**model, decode_head=head)))


def test_weights_and_normalisation_come_from_the_checkpoint(tmp_path):
    dataset = DATASETS.build(
        dict(type='PASTISDataset', data_root=write_pastis_miniature(tmp_path), folds=[1, 2], pipeline=PIPELINE)
    )
    trained = init_model(config())
    trained.data_preprocessor.set_statistics('s2', **dataset.statistics['s2'])
    file = tmp_path / 'model.pth'
    torch.save(dict(state_dict=trained.state_dict(), meta=dict(dataset_meta=dataset.metainfo)), file)
    model = init_model(config(), file)
    assert model.dataset_meta['bands'] == dataset.metainfo['bands']
    result, expected = predict_sample(model, dataset[0]), predict_sample(trained, dataset[0])
    assert torch.equal(result.seg_logits.data, expected.seg_logits.data)
    assert torch.equal(result.pred_sem_seg.data[0], result.seg_logits.data.argmax(0))
    assert torch.equal(result.gt_sem_seg.data, dataset[0]['targets'].long())


def test_weights_of_another_model_are_refused(tmp_path):
    file = tmp_path / 'model.pth'
    torch.save(dict(state_dict=init_model(config()).state_dict()), file)
    with pytest.raises(CheckpointError, match=r'model\.pth'):
        init_model(config((8, 8, 16)), file)


@pytest.mark.parametrize('open_model', [init_model, lambda *files: load_network(*files).segmentor])
def test_further_networks_of_the_config_are_read_with_it(tmp_path, open_model):
    cfg = config()
    for name in ('one', 'other'):
        torch.save(dict(state_dict=init_model(cfg).state_dict()), tmp_path / f'{name}.pth')
    cfg.model['test_cfg'] = dict(mode='whole', test_time=dict(checkpoints=[str(tmp_path / 'other.pth')]))
    assert len(open_model(cfg, tmp_path / 'one.pth').averaging.members) == 1
    cfg.model['test_cfg']['test_time']['checkpoints'] = [str(tmp_path / 'one.pth'), str(tmp_path / 'part.pth')]
    torch.save(dict(state_dict={}), tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match=r'part\.pth'):
        open_model(cfg, tmp_path / 'one.pth')
