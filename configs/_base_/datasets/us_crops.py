# Single Sentinel-2 pixels of the United States in the layout of SITS-MoCo; docs/sitsmoco.md says how it is got.
# Another year or folder: set year or data_root in a child config or with --cfg-options. A test in another year:
# test_dataloader.dataset.year=2020.
dataset_type = 'USCropsDataset'
data_root = '{{$MMSITS_DATA:data}}/us_crops'
year = 2019

# As published: all series are brought to 70 dates, some of them repeated.
train_pipeline = [
    dict(type='RollDates'),
    dict(type='SampleDates', num_dates=70, repeat=True),
    dict(type='PackSeriesInputs'),
]
# All dates; the published test draws 70 of them at random.
test_pipeline = [dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=512,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(type=dataset_type, data_root=data_root, year=year, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=512,
    num_workers=0,
    sampler=dict(type='SeriesEvalSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type, data_root=data_root, year=year, split='valid', pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = dict(
    batch_size=512,
    num_workers=0,
    sampler=dict(type='SeriesEvalSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type, data_root=data_root, year=year, split='eval', pipeline=test_pipeline, test_mode=True
    ),
)
val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = dict(type='SeriesSegmentationMetric')
