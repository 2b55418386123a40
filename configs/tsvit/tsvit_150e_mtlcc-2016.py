# TSViT on MTLCC of 2016 in tiles of 24×24 pixels, 16 dates, by the published recipe. 150 epochs are 150 / 32 times as
# many iterations as there are tiles in train_fold0: set them below, and the epoch's number with them.
_base_ = [
    '../_base_/models/tsvit.py',
    '../_base_/datasets/mtlcc_2016_24px.py',
    '../_base_/schedules/schedule_tsvit.py',
    '../_base_/default_runtime.py',
]

# Reflectances from 0 to 1, not normalised, as published; days count from 1 January.
_statistics = dict(s2=dict(mean=[0.0] * 13, std=[10000.0] * 13))
model = dict(
    data_preprocessor=dict(sensors=dict(s2=13), statistics=_statistics, reference_date='2016-01-01'),
    backbone=dict(in_channels=13, num_classes=17, head_channels=64, first_day=1),
    decode_head=dict(num_classes=17),
)

_epoch = 204
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        total=150 * _epoch,
        warmup=10 * _epoch,
        start_value=1e-8,
        eta_min=5e-4,
        held_for=_epoch,
    )
]
train_cfg = dict(max_iters=150 * _epoch, val_interval=2000)
