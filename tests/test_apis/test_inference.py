"""A model from config and checkpoint, from Python."""

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS

from mmsits.apis import init_model, predict_sample
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
