# A small SL-GT2Net on real radar of Flanders in the layout of MTS12: trained on one patch (2018), tested on another
# (2019). Only the classes cultivated land, grassland and artificial surface occur.
_base_ = './slgt2net_simulated-mts12.py'
data_root = '{{$MMSITS_DATA:data}}/flanders-s1/slovenia'

# The fields of 2018 bear maize, those of 2019 winter wheat: what carries over is that they change and grass does not,
# rather than the month, so the year begins at any of its months.
# A quarter of each patch is held back, and 0 in its images.
train_pipeline = [
    dict(type='SeriesRandomCrop', crop_size=(32, 32)),
    dict(type='MaskNoData'),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='RollDates', max_steps=12, probability=1.0),
    dict(type='PackSeriesInputs'),
]
test_pipeline = [dict(type='MaskNoData'), dict(type='PackSeriesInputs')]
train_dataloader = dict(
    num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, pipeline=train_pipeline)
)
# There is no third part to choose on: the last weights are the ones to test.
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = dict(dataset=dict(data_root=data_root, split='val', pipeline=test_pipeline))

default_hooks = dict(checkpoint=dict(save_best=None))
