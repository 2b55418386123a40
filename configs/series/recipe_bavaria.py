# Half-monthly Sentinel-2 means of parcels in Bavaria 2018; 9 classes of declared crops.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/bavaria-parcels-s2'
_table = dict(table='bavaria_2018.npz', columns=dict(date='dates'))
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=13)),
    backbone=dict(in_channels=13, encoder=dict(days=(45, 241), length=14)),
    decode_head=dict(num_classes=9),
)
