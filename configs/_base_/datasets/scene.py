# A folder of rasters and labels of your own; docs/your_data.md says how to describe it.
# Set data_root, sensors, labels, classes and splits in a child config: the tools hand them, and samples, grid,
# window_size and season_start, on to every dataset below. None stands here, as a child's would be mixed with it.
dataset_type = 'SceneDataset'
data_root = '{{$MMSITS_DATA:data}}/my_scene'
# 'windows' for dense models, 'parcels' and 'pixels' for models of pixel sets and single series.
samples = 'windows'

train_pipeline = [
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='SeriesSampler'),
    # Parcels and pixels come as whole batches; windows, which are collated one by one, pass too.
    collate_fn=dict(type='identity_collate'),
    dataset=dict(type=dataset_type, samples=samples, data_root=data_root, split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type, samples=samples, data_root=data_root, split='val', pipeline=test_pipeline, test_mode=True
    ),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SeriesEvalSampler'),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(
        type=dataset_type, samples=samples, data_root=data_root, split='test', pipeline=test_pipeline, test_mode=True
    ),
)

val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = dict(type='SeriesSegmentationMetric')
