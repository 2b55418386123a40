# A table of series of single fields or pixels, with a column `split` that is 'train' or 'test'. A config that inherits
# this one says which table, and how it is read (mmsits.datasets.SeriesTableDataset), in one dict for both dataloaders:
# configs/series/ has examples.
data_root = '{{$MMSITS_DATA:data}}'
dataset_type = 'SeriesTableDataset'

train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        sensor='series',
        where=dict(split='train'),
        missing='interpolate',
        pipeline=[dict(type='PackSeriesInputs')],
    ),
)
test_dataloader = dict(
    batch_size=512,
    num_workers=0,
    sampler=dict(type='SeriesEvalSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        sensor='series',
        where=dict(split='test'),
        missing='interpolate',
        pipeline=[dict(type='PackSeriesInputs')],
        test_mode=True,
    ),
)
test_evaluator = dict(type='SeriesSegmentationMetric')
