# EUCROPMAP 2018 with monthly composites of Sentinel-1 and Sentinel-2; docs/cropmapping.md says how to get them.
# Another folder: --cfg-options data_root=… (the tools hand it on to every dataset below).
dataset_type = 'EuroCropMapDataset'
data_root = '{{$MMSITS_DATA:data}}/eurocropmap'

train_pipeline = [
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='AnnotatedSampler'),
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline, test_mode=True),
)
test_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(type=dataset_type, data_root=data_root, split='test', pipeline=test_pipeline, test_mode=True),
)

val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = dict(type='SeriesSegmentationMetric')
