# Land cover of one square kilometre of Slovenia from 68 cloudy NDVI images: docs/your_data.md says how the GeoTIFFs are
# made of the arrays.
_base_ = './pixels_scene.py'

data_root = '{{$MMSITS_DATA:data}}/slovenia'
sensors = dict(
    s2=dict(
        folder='s2',
        unit='NDVI x 10000',
        nodata='none',
        clouds=dict(type='mask', folder='s2_clouds'),
    )
)
labels = dict(
    file='labels.tif',
    table={1: 'cultivated land', 2: 'forest', 3: 'grassland', 4: 'shrubland', 7: 'artificial surface'},
)
classes = ('cultivated land', 'forest', 'grassland', 'shrubland', 'artificial surface')
splits = dict(type='vector', file='splits.gpkg')
# The series reaches over three summers: days count from one fixed date.
season_start = '2015-07-01'

model = dict(
    data_preprocessor=dict(sensors=dict(s2=1)),
    backbone=dict(in_channels=1, encoder=dict(days=(10, 905), length=60)),
    decode_head=dict(num_classes=5),
)
