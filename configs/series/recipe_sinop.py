# MODIS NDVI of points in Mato Grosso, 16 crop years; 4 classes of land use.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/sinop-modis-ndvi'
_table = dict(table='sinop_points.npz', columns=dict(date='dates'), season_start='09-01')
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=1)),
    backbone=dict(in_channels=1, encoder=dict(days=(12, 362), length=12)),
    decode_head=dict(num_classes=4),
)
