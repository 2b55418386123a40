# FORMOSAT-2 NDVI of pixels in France 2006, 46 dates that are not known; 24 classes of land cover.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/formosat2-crop-ucr'
_table = dict(table='crop24.npz', bands=('NDVI',), regular_dates=dict(start='2006-01-01', step=8))
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=1)),
    backbone=dict(in_channels=1, encoder=dict(members=dict(mlp=dict(days=(0, 360), length=46)))),
    decode_head=dict(num_classes=24),
)
