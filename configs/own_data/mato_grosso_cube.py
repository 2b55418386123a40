# Five crops of Mato Grosso, 23 MODIS images and 199 points on 27 x 37 pixels, mapped: docs/your_data.md.
_base_ = './pixels_scene.py'

data_root = '{{$MMSITS_DATA:data}}/mato-grosso-cube'
_bands = ('EVI', 'NDVI', 'RED', 'BLUE', 'NIR', 'MIR')
sensors = dict(modis=dict(folder='tif', band_names=(*_bands, 'DOY'), bands=_bands))
labels = dict(file='samples.gpkg', column='label')
classes = ('Cotton-fallow', 'Forest', 'Soybean-cotton', 'Soybean-maize', 'Soybean-millet')
splits = dict(type='column')
season_start = '09-01'

model = dict(
    data_preprocessor=dict(sensors=dict(_delete_=True, modis=6)),
    backbone=dict(sensor='modis', in_channels=6, encoder=dict(days=(13, 362), length=23)),
    decode_head=dict(num_classes=5),
)
