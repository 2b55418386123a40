# A small SL-GT2Net on a real patch of Slovenia from another sensor, in the layout of MTS12: each month's NDVI and cloud
# probability (both 0 to 1, stretched to 0..255) stand in the place of VV and VH.
_base_ = './slgt2net_flanders-s1.py'
data_root = '{{$MMSITS_DATA:data}}/slovenia-eopatch/slovenia'

# One place in one climate: here the months say which class it is, and rare classes are drawn more often.
_data = dict(data_root=data_root, units=dict(s1='NDVI and cloud probability x 255'))
train_pipeline = [
    dict(type='SeriesRandomCrop', crop_size=(32, 32), max_class_share=0.75),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(dataset=dict(**_data, pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(**_data, pipeline=[dict(type='PackSeriesInputs')]))

optim_wrapper = dict(optimizer=dict(lr=3e-3))
param_scheduler = [dict(type='OneCycleLR', eta_max=3e-3, total_steps=150, pct_start=0.1, by_epoch=False)]
train_cfg = dict(max_iters=150)
default_hooks = dict(checkpoint=dict(interval=150))
