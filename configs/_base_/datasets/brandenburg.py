# Brandenburg: Sentinel-1 series of farmland, fifteen classes; docs/slgt2net.md says what is known of it.
# The other of the two sets, or another folder: --cfg-options data_root=… (the tools hand it on to every dataset below).
dataset_type = 'BrandenburgDataset'
data_root = '{{$MMSITS_DATA:data}}/brandenburg/s1_2017_2018'

train_pipeline = [
    dict(type='SeriesRandomResize', scale=(224, 224), ratio_range=(1.0, 2.0)),
    dict(type='SeriesRandomCrop', crop_size=(224, 224), max_class_share=0.75),
    dict(type='SeriesRandomFlip', probability=0.5, directions=('horizontal',)),
    dict(type='PadSeries', size=(224, 224)),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=2,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    dataset=dict(type=dataset_type, data_root=data_root, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(type=dataset_type, data_root=data_root, split='val', pipeline=test_pipeline, test_mode=True),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(type=dataset_type, data_root=data_root, split='test', pipeline=test_pipeline, test_mode=True),
)

# The published score: means over all classes, one that does not occur counting as 0.
val_evaluator = dict(type='SeriesSegmentationMetric', average_over='all')
test_evaluator = dict(type='SeriesSegmentationMetric', average_over='all')
