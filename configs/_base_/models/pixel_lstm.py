# LSTM in both directions of time (Russwurm and Koerner, 2020) for series of points and parcels.
_base_ = './series_ensemble.py'
model = dict(
    backbone=dict(
        encoder=dict(_delete_=True, type='SeriesLSTM', in_channels=64, hidden_channels=64, num_layers=2, dropout=0.3)
    ),
    decode_head=dict(in_channels=128, num_members=1),
)
