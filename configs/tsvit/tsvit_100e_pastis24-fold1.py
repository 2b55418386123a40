# TSViT on PASTIS by the published recipe, first of five runs: train on folds 1 to 3, choose on 4, test on 5. Windows of
# 24×24 pixels lie anywhere in a patch; published is a fixed grid of 25, without the last eight rows and columns.
_base_ = [
    '../_base_/models/tsvit.py',
    '../_base_/datasets/pastis.py',
    '../_base_/schedules/schedule_tsvit.py',
    '../_base_/default_runtime.py',
]

# Background is a class, void is ignored. Of more than 60 dates, the published transform keeps the first of the year.
_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='SampleDates', num_dates=60, random=False),
    dict(type='SeriesRandomCrop', crop_size=(24, 24)),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=_pipeline))
randomness = dict(seed=1)
