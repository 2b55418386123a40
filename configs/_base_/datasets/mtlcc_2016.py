# MTLCC of 2016 in tiles of 48×48 pixels, 30 dates of each; docs/mtlcc.md says how to get it.
# Another folder: --cfg-options data_root=… (the tools hand it on to every dataset below).
dataset_type = 'MTLCCDataset'
data_root = '{{$MMSITS_DATA:data}}/MTLCC/480'

train_pipeline = [dict(type='SampleDates', num_dates=30), dict(type='PackSeriesInputs')]
# The same dates in every test. Published is a random draw here too: random=True.
test_pipeline = [dict(type='SampleDates', num_dates=30, random=False), dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    dataset=dict(
        type=dataset_type, data_root=data_root, year=2016, split='train', min_dates=30, pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        year=2016,
        split='val',
        min_dates=30,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        year=2016,
        split='test',
        min_dates=30,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

val_evaluator = dict(type='SeriesSegmentationMetric', excluded_classes=['unknown'])
test_evaluator = dict(type='SeriesSegmentationMetric', excluded_classes=['unknown'])
