# FORMOSAT-2 every second day of pixels in France 2006; 13 classes of land cover.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/formosat2-tempcnn'
_table = dict(table='formosat2_13.npz', regular_dates=dict(start='2006-01-01', step=2))
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=3)),
    backbone=dict(in_channels=3, encoder=dict(days=(0, 296), length=149)),
    decode_head=dict(num_classes=13),
)
