# MODIS of points in Mato Grosso, 16 crop years; 9 classes of land use.
_base_ = './recipe.py'
data_root = '{{$MMSITS_DATA:data}}/mato-grosso-modis'
_table = dict(table='mato_grosso_modis.npz', columns=dict(date='dates'), season_start='09-01')
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
model = dict(
    data_preprocessor=dict(sensors=dict(series=6)),
    backbone=dict(in_channels=6, encoder=dict(days=(12, 362), length=23)),
    decode_head=dict(num_classes=9),
)
