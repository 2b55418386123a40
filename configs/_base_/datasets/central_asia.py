# NDVI of surveyed fields every 16 days in two regions of Uzbekistan: training on Samarkand, test on Fergana;
# docs/central_asia.md says what the table holds. Another folder: data_root in a child config, --cfg-options, or
# MMSITS_DATA.
data_root = '{{$MMSITS_DATA:data}}/central-asia-ndvi'
dataset_type = 'SeriesTableDataset'
_table = 'central_asia_ndvi.npz'

_strong_pipeline = [dict(type='SampleDates', num_dates=16), dict(type='PackSeriesInputs')]
_weak_pipeline = [dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        table=_table,
        sensor='ndvi',
        code_list='central-asia-ndvi',
        where=dict(region='Samarkand'),
        pipeline=_strong_pipeline,
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
        table=_table,
        sensor='ndvi',
        code_list='central-asia-ndvi',
        where=dict(region='Fergana'),
        pipeline=_weak_pipeline,
        test_mode=True,
    ),
)
test_evaluator = dict(type='SeriesSegmentationMetric')
