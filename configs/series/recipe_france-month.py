# Monthly Sentinel-2, Sentinel-1 and weather at parcels in Corsica 2022; 8 classes of the parcel register.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/france-lpis-points'
_table = dict(table='month_2022.npz', missing_value=65535, columns=dict(date='dates'), season_start='09-01')
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=13)),
    backbone=dict(in_channels=13, encoder=dict(days=(0, 487), length=17)),
    decode_head=dict(num_classes=8),
)
