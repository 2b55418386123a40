# L-TAE in the form of TimeMatch (Garnot and Landrieu, 2020; Nyborg et al., 2022) for series of points and parcels.
_base_ = './series_ensemble.py'
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='TimeMatchLTAE',
            in_channels=64,
            n_head=16,
            d_k=8,
            d_model=128,
            mlp=(128, 128),
            dropout=0.3,
        )
    ),
    decode_head=dict(in_channels=128, num_members=1),
)
