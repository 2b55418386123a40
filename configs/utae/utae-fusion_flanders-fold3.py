# The small U-TAE of utae_flanders-fold3.py on Sentinel-1 and Sentinel-2 of the same tiles: every date of both, late
# fusion. data_root is a folder in the layout of PASTIS with the sensors s1a and s2.
_base_ = ['./utae_flanders-fold3.py']
data_root = '{{$MMSITS_DATA:data}}/flanders-s1-s2-dense/pastis-layout'

_utae = dict(type='UTAE', encoder_widths=(32, 64), decoder_widths=(16, 64), n_head=16, d_k=4, d_model=128)
model = dict(
    data_preprocessor=dict(sensors=dict(s1a=3, s2=10)),
    backbone=dict(
        _delete_=True,
        type='FusionBackbone',
        fusion='late',
        backbones=dict(s1a=dict(_utae, in_channels=3), s2=dict(_utae, in_channels=10)),
        sensor_dropout=0.1,
    ),
    decode_head=dict(in_channels=32),
)
train_dataloader = dict(dataset=dict(data_root=data_root, sensors=('s1a', 's2')))
test_dataloader = dict(dataset=dict(data_root=data_root, sensors=('s1a', 's2')))
train_cfg = dict(max_iters=600)
