# Monthly Sentinel-2, Sentinel-1 and weather at surveyed points in East Africa 2017; 7 classes.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/east-africa-points'
_table = dict(table='east_africa_2017.npz', missing_value=65535, columns=dict(date='dates'), season_start='12-01')
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=14)),
    backbone=dict(in_channels=14, encoder=dict(days=(0, 335), length=12)),
    decode_head=dict(num_classes=7),
)
