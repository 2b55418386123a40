# Sentinel-2, Sentinel-1 and weather every ten days at parcels in France 2023; 12 classes of the register.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/france-lpis-points'
_table = dict(table='dekad_2023.npz', missing_value=65535, columns=dict(date='dates'), season_start='09-01')
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=13)),
    backbone=dict(in_channels=13, encoder=dict(days=(0, 507), length=51)),
    decode_head=dict(num_classes=12),
)
