# TSViT on PASTIS by the published recipe, first of five runs: train on folds 1 to 3, choose on 4, test on 5. Windows of
# 24×24 pixels lie anywhere in a patch; published is a fixed grid of 25, without the last eight rows and columns.
_base_ = [
    '../_base_/models/tsvit.py',
    '../_base_/datasets/pastis.py',
    '../_base_/schedules/schedule_tsvit.py',
    '../_base_/default_runtime.py',
]

# Nineteen classes, background among them; void is left out of the classes and ignored.
_labels = {str(code): code for code in range(19)}
# The published transform normalises all folds by these.
_statistics = dict(
    s2=dict(
        mean=[1165.94, 1375.653, 1429.219, 1764.799, 2719.273, 3063.612, 3205.902, 3319.11, 2422.905, 1639.37],
        std=[1942.616, 1881.923, 1959.38, 1867.224, 1754.585, 1769.405, 1784.861, 1767.71, 1458.964, 1299.283],
    )
)
model = dict(
    data_preprocessor=dict(statistics=_statistics),
    backbone=dict(num_classes=19),
    decode_head=dict(num_classes=19),
)

# Of more than 60 dates, the published transform keeps the first of the year.
_pipeline = [
    dict(type='LoadSeries'),
    dict(type='LoadSeriesLabels'),
    dict(type='SampleDates', num_dates=60, random=False),
    dict(type='SeriesRandomCrop', crop_size=(24, 24)),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=_pipeline, label_map=_labels))
val_dataloader = dict(dataset=dict(label_map=_labels))
test_dataloader = dict(dataset=dict(label_map=_labels))
# Means over the classes whose score is defined, as published.
val_evaluator = dict(average_over='reference_or_prediction')
test_evaluator = dict(average_over='reference_or_prediction')
randomness = dict(seed=1)
