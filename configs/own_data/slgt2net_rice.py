# Paddy rice of four US states in 2019 from Sentinel-1, labelled by the Cropland Data Layer: docs/slgt2net.md says how
# the files are laid out. Also the one to start from for any scene of radar.
_base_ = [
    '../_base_/models/slgt2net.py',
    '../_base_/datasets/scene.py',
    '../_base_/schedules/schedule_slgt2net.py',
    '../_base_/default_runtime.py',
]

data_root = '{{$MMSITS_DATA:data}}/rice'
sensors = dict(s1=dict(folder='s1', bands=('VV', 'VH'), unit='dB'))
# Codes of the Cropland Data Layer. What has no name here is neither trained nor scored.
labels = dict(
    file='cdl_2019.tif',
    table={3: 'rice', 1: 'corn', 2: 'cotton', 5: 'soybeans', 61: 'fallow', 111: 'open water', 190: 'woody wetlands'},
)
classes = ('rice', 'corn', 'cotton', 'soybeans', 'fallow', 'open water', 'woody wetlands')
splits = dict(type='blocks', size=10000, shares=dict(train=0.6, val=0.2, test=0.2))
window_size = 224

# However many dates there are, they are brought to sixteen steps; the loss is a mean over what is labelled.
model = dict(
    backbone=dict(fit_dates='resample'),
    decode_head=dict(num_classes=7, loss_decode=dict(avg_non_ignore=True)),
)

train_pipeline = [
    dict(type='SimulateSpeckle', looks=(4, 32)),
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomRotate90'),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=1)
test_dataloader = dict(batch_size=1)
default_hooks = dict(checkpoint=dict(interval=2000, max_keep_ckpts=3))
