# STCLN in the five-fold protocol of PASTIS: all labels, background is a class, void is ignored. First of five runs, the
# others by --cfg-options fold=2 to 5. An encoder pre-trained on fold 5 (stcln_pretrain_pastis.py) has seen the images,
# not the labels, of the fold that is tested here; in runs 3 to 5 it is one of the training folds.
_base_ = [
    '../_base_/models/stcln.py',
    '../_base_/datasets/pastis.py',
    '../_base_/schedules/schedule_40k.py',
    '../_base_/default_runtime.py',
]

# The attention among pixels limits the windows, as in the published recipe.
_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='SeriesRandomCrop', crop_size=(32, 32)),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=_pipeline))
optim_wrapper = dict(optimizer=dict(lr=1e-4))
custom_hooks = [dict(type='WeightTransferHook')]
