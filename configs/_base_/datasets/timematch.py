# TimeMatch, training on the source alone; docs/timematch.md says how to get the data.
# Another task, fold or folder: set source, target, fold, data_root or min_parcels in a child config or with
# --cfg-options; the tools hand them on to every dataset below.
dataset_type = 'TimeMatchDataset'
data_root = '{{$MMSITS_DATA:data}}/timematch'
source = 'DK1'
target = 'FR1'
fold = 0
min_parcels = 200

# Strong: 64 pixels, 30 dates, all of them shifted by up to 60 days. Weak: 64 pixels on all dates.
strong_pipeline = [
    dict(type='SamplePixels', num_pixels=64),
    dict(type='SampleDates', num_dates=30),
    dict(type='ShiftDays', days=(-60, 60)),
    dict(type='PackSeriesInputs'),
]
weak_pipeline = [dict(type='SamplePixels', num_pixels=64), dict(type='PackSeriesInputs')]
# All pixels on all dates.
test_pipeline = [dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=128,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        source=source,
        target=target,
        role='source',
        fold=fold,
        split='train',
        min_parcels=min_parcels,
        pipeline=strong_pipeline,
    ),
)
# On the source: labels of the target are for the test.
val_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        source=source,
        target=target,
        role='source',
        fold=fold,
        split='val',
        min_parcels=min_parcels,
        pipeline=weak_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    # Parcels of similar size share a batch, as they are padded to the largest.
    batch_sampler=dict(type='SizeBatchSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        source=source,
        target=target,
        role='target',
        fold=fold,
        split='test',
        min_parcels=min_parcels,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)

val_evaluator = dict(type='SeriesSegmentationMetric', average_over='reference_or_prediction')
test_evaluator = dict(type='SeriesSegmentationMetric', average_over='reference_or_prediction')
