# As the published code trains: unmarked pixels are negatives of all crops, patches are stretched to 0 … 1 by their own
# extremes, patches are divided at random. For published weights, and to see what it costs.
_base_ = ['./siamese-unet3d_5e_isrc.py']

model = dict(
    data_preprocessor=dict(
        statistics=dict(s1=dict(mean=[0.0] * 2, std=[1.0] * 2), s2=dict(mean=[0.0] * 10, std=[1.0] * 10))
    ),
    backbone=dict(days=None, sensor_dropout=0.0),
    decode_head=dict(prior=None),
)
train_pipeline = [
    dict(type='StretchToUnit'),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate'),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [dict(type='StretchToUnit'), dict(type='PackSeriesInputs')]
_published = dict(
    negatives='all_crops', marked_share=0.01, zeros_observed=True, split_by='patch', shares=dict(train=0.8, val=0.2)
)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, **_published))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, only_annotated=True, **_published))
# There is no third part: published scores are those of other data, fully annotated.
test_dataloader = dict(dataset=dict(split='val', pipeline=test_pipeline, only_annotated=True, **_published))
