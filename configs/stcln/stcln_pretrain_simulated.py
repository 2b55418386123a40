# Masked pre-training of a small STCLN on all simulated fields of folds 1 to 3, labels unused.
_base_ = '../_base_/stcln_simulated.py'

model = dict(
    type='MaskedSeriesModel',
    mask=dict(ratio=0.4, over='dates_and_space', block_size=4),
)
train_pipeline = [
    dict(type='LoadSeries'),
    dict(type='SampleDates', num_dates=16),
    dict(type='SeriesRandomCrop', crop_size=(16, 16)),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
val_evaluator = dict(_delete_=True, type='ReconstructionMetric')
test_dataloader = None
test_evaluator = None
test_cfg = None

train_cfg = dict(max_iters=600, val_interval=200)
default_hooks = dict(checkpoint=dict(interval=200, save_best='reconstruction_mse', rule='less'))
custom_hooks = [
    dict(type='MaskRatioHook', begin=0.2, end=0.5),
    dict(type='ReconstructionDrawingHook', interval=200),
]
