# Sentinel-2 of 300 pixels in the United States 2019, clouds and all; 21 classes of the Cropland Data Layer.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/us-toy-s2'
_table = dict(
    table='us_toy_s2.npz',
    bands=('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12'),
    unit='reflectance x 10000',
    year=2019,
)
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=10)),
    backbone=dict(in_channels=10, encoder=dict(days=(0, 360), length=37)),
    decode_head=dict(num_classes=21),
)
