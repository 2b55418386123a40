# PASTIS, Sentinel-2, fold 1 of the five-fold protocol; docs/pastis.md says how to get it.
# Another folder or fold: --cfg-options data_root=… fold=3 (the tools hand both on to every dataset below).
dataset_type = 'PASTISDataset'
data_root = '{{$MMSITS_DATA:data}}/PASTIS'
fold = 1

train_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='PackSeriesInputs'),
]

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    dataset=dict(
        type=dataset_type, data_root=data_root, sensors=('s2',), fold=fold, split='train', pipeline=train_pipeline
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        sensors=('s2',),
        fold=fold,
        split='val',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        sensors=('s2',),
        fold=fold,
        split='test',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = dict(type='SeriesSegmentationMetric')
