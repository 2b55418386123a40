# A small U-TAE on six real tiles of Flanders in the layout of PASTIS: trained on folds 1 and 2, tested on fold 3.
# All settings were chosen on folds 1 and 2, each of their tiles held out in turn: docs/flanders.md.
_base_ = [
    '../_base_/models/utae.py',
    '../_base_/datasets/pastis.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]
data_root = '{{$MMSITS_DATA:data}}/flanders'
fold = None

_class_weight = [1.0] * 20
_class_weight[1:5] = [0.47, 0.54, 0.56, 0.77]  # meadow, soft winter wheat, corn, winter barley
_class_weight[9] = _class_weight[13] = 1.83  # beet, potatoes

# Two levels only: the tiles have 32 by 32 pixels and the fields are few pixels wide.
model = dict(
    backbone=dict(encoder_widths=(32, 64), decoder_widths=(16, 64), d_model=128),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_index=0,
        in_channels=16,
        channels=16,
        num_convs=1,
        concat_input=False,
        num_classes=20,
        norm_cfg=dict(type='BN'),
        # Square roots of inverse frequencies in folds 1 and 2, where beet and potatoes have 52 pixels each. With
        # weights, mmseg's loss leaves ignored pixels out of the mean by itself.
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=False, class_weight=_class_weight),
    ),
)

train_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='SampleDates', num_dates=16),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
# Days count from the first of January of the year whose harvest is mapped: the same in both years of the data.
_season = dict(season_start='01-01', ignored_classes=('background',), fold=None, split=None)
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(folds=[1, 2], pipeline=train_pipeline, **_season),
)
# There is no third part to validate on: nothing may be chosen on fold 3, so the last weights are the ones to test.
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(folds=[3], **_season))

optim_wrapper = dict(optimizer=dict(type='AdamW', weight_decay=0.01))
param_scheduler = [dict(type='OneCycleLR', eta_max=2e-3, total_steps=600, pct_start=0.1, by_epoch=False)]
train_cfg = dict(max_iters=600)
default_hooks = dict(checkpoint=dict(interval=200, save_best=None), logger=dict(interval=10))
