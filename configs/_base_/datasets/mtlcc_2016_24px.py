# MTLCC of 2016 in tiles of 24×24 pixels as TSViT reads them: 16 dates, bands of 20 and 60 m interpolated, 17 classes.
_base_ = './mtlcc_2016.py'

data_root = '{{$MMSITS_DATA:data}}/MTLCC/240'

train_pipeline = [
    dict(type='SampleDates', num_dates=16),
    dict(type='SeriesRandomFlip'),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [dict(type='SampleDates', num_dates=16, random=False), dict(type='PackSeriesInputs')]

train_dataloader = dict(
    batch_size=32,
    dataset=dict(pipeline=train_pipeline, data_root=data_root, min_dates=1, upsampling='bilinear', unknown_class=False),
)
val_dataloader = dict(
    batch_size=32,
    dataset=dict(pipeline=test_pipeline, data_root=data_root, min_dates=1, upsampling='bilinear', unknown_class=False),
)
test_dataloader = dict(
    batch_size=32,
    dataset=dict(pipeline=test_pipeline, data_root=data_root, min_dates=1, upsampling='bilinear', unknown_class=False),
)

val_evaluator = dict(excluded_classes=[])
test_evaluator = dict(excluded_classes=[])
