# Pre-training on 211 real pixels out of a table, without their labels; those of the part `test` are left out.
_base_ = './moco-v2_transformer_us-crops.py'
data_root = '{{$MMSITS_DATA:data}}/us-toy-s2'

_table = dict(
    type='SeriesTableDataset',
    data_root=data_root,
    table='us_toy_s2.npz',
    bands=('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12'),
    unit='reflectance x 10000',
    year=2019,
)
train_dataloader = dict(
    batch_size=64, dataset=dict(dataset=dict(_delete_=True, where=dict(split=('train', 'valid')), **_table))
)
model = dict(queue_size=192)
train_cfg = dict(max_iters=200)

_probe = dict(pipeline=[dict(type='PackSeriesInputs')], **_table)
custom_hooks = [
    dict(type='ContrastMonitorHook', interval=50),
    dict(
        type='NearestNeighbourProbeHook',
        reference=dict(where=dict(split='train'), **_probe),
        probed=dict(where=dict(split='valid'), **_probe),
        interval=100,
        neighbours=5,
    ),
]
default_hooks = dict(checkpoint=dict(interval=200), logger=dict(interval=50))
