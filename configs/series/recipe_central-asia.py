# NDVI every 16 days of fields in Uzbekistan; 12 classes of crops.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/central-asia-ndvi'
_table = dict(table='central_asia_ndvi.npz', bands=('NDVI',))
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=1)),
    backbone=dict(in_channels=1, encoder=dict(members=dict(mlp=dict(days=(0, 352), length=23)))),
    decode_head=dict(num_classes=12),
)
