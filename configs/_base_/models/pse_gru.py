# Pixel-set encoder with a GRU, as in TimeMatch.
_base_ = './pse_ltae.py'
model = dict(backbone=dict(encoder=dict(_delete_=True, type='SeriesGRU', in_channels=128, hidden_channels=128)))
