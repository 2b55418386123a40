# Transformer encoder (Russwurm and Koerner, 2020) for series of points and parcels.
_base_ = './series_ensemble.py'
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='SeriesTransformer',
            d_model=64,
            n_head=4,
            num_layers=2,
            hidden_channels=128,
            dropout=0.3,
        )
    ),
    decode_head=dict(in_channels=64, num_members=1),
)
