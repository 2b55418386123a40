# Marked fields of eight crops of Iran, a crop at a time; what is not marked is unknown. docs/cropmapping.md says how to
# make such patches of polygons. Another folder: --cfg-options data_root=…
dataset_type = 'ISRCDataset'
data_root = '{{$MMSITS_DATA:data}}/isrc'

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
    # Fields of other crops are known not to be this one.
    dataset=dict(
        type=dataset_type, data_root=data_root, split='train', negatives='other_fields', pipeline=train_pipeline
    ),
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
