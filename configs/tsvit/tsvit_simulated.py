# A small TSViT on simulated fields (configs/stcln/README.md says how to make them), sound where the published is odd.
_base_ = [
    '../_base_/models/tsvit.py',
    '../_base_/datasets/pastis.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]
data_root = '{{$MMSITS_DATA:data}}/demo_simulated'

model = dict(
    data_preprocessor=dict(reference_date=None),
    backbone=dict(
        image_size=16,
        dim=32,
        temporal_depth=2,
        spatial_depth=2,
        num_heads=2,
        head_channels=16,
        cut_days=False,
        runs_over_padding=False,
    ),
    decode_head=dict(in_channels=32, writes_patches_as_rows=False),
    test_cfg=dict(crop_size=(16, 16), stride=(16, 16)),
)
train_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='SeriesRandomCrop', crop_size=(16, 16)),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
val_evaluator = dict(average_over='reference')
test_evaluator = dict(average_over='reference')

train_cfg = dict(max_iters=400, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
