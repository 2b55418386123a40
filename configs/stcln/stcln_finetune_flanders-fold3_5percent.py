# As stcln_finetune_flanders-fold3.py, on 5 % of the labelled pixels of each tile.
_base_ = './stcln_finetune_flanders-fold3.py'

train_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='KeepLabelledPixels', fraction=0.05),
    dict(type='SampleDates', num_dates=16),
    dict(type='SeriesRandomCrop', crop_size=(16, 16)),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
