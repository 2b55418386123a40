# GRU for series of points and parcels.
_base_ = './series_ensemble.py'
model = dict(
    backbone=dict(encoder=dict(_delete_=True, type='SeriesGRU', in_channels=64, hidden_channels=128)),
    decode_head=dict(in_channels=128, num_members=1),
)
