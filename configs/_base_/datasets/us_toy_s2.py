# Sentinel-2 of 300 pixels in the United States 2019, clouds and all, out of a table that is divided into train, valid
# and test.
dataset_type = 'SeriesTableDataset'
data_root = '{{$MMSITS_DATA:data}}/us-toy-s2'
_table = dict(
    type=dataset_type,
    data_root=data_root,
    table='us_toy_s2.npz',
    bands=('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12'),
    unit='reflectance x 10000',
    year=2019,
)
train_pipeline = [
    dict(type='RollDates'),
    dict(type='SampleDates', num_dates=70, repeat=True),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(where=dict(split='train'), pipeline=train_pipeline, **_table),
)
val_dataloader = dict(
    batch_size=512,
    num_workers=0,
    sampler=dict(type='SeriesEvalSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(where=dict(split='valid'), pipeline=test_pipeline, test_mode=True, **_table),
)
test_dataloader = dict(
    batch_size=512,
    num_workers=0,
    sampler=dict(type='SeriesEvalSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(where=dict(split='test'), pipeline=test_pipeline, test_mode=True, **_table),
)
val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = dict(type='SeriesSegmentationMetric')
