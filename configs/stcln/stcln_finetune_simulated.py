# The small STCLN on all labels of simulated fields; from scratch, or with
# --cfg-options load_from=work_dirs/stcln_pretrain_simulated/iter_600.pth
_base_ = '../_base_/stcln_simulated.py'

model = dict(
    type='TemporalEncoderDecoder',
    decode_head=dict(
        type='STCLNHead',
        in_channels=64,
        num_classes=20,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    test_cfg=dict(mode='slide', crop_size=(32, 32), stride=(32, 32)),
)
train_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='SampleDates', num_dates=16),
    dict(type='SeriesRandomCrop', crop_size=(16, 16)),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))

# Most of the twenty classes are not simulated: means over those that are.
val_evaluator = dict(average_over='reference')
test_evaluator = dict(average_over='reference')
train_cfg = dict(max_iters=400, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100))
custom_hooks = [dict(type='WeightTransferHook')]
