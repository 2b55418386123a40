# TAE (Garnot et al., 2020) for series of points and parcels.
_base_ = './series_ensemble.py'
model = dict(
    backbone=dict(
        encoder=dict(_delete_=True, type='TAE', in_channels=64, n_head=4, d_k=16, mlp=(256, 128), dropout=0.3)
    ),
    decode_head=dict(in_channels=128, num_members=1),
)
