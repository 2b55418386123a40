# The LSTM that SITS-MoCo compares with, on single pixels: four layers in both directions, their cells classified.
_base_ = './sitsmoco_transformer.py'
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='SeriesLSTM',
            hidden_channels=128,
            num_layers=4,
            dropout=0.2,
            bias=False,
            states='all_cells',
            layer_norms=True,
            positional_encoding=False,
        )
    ),
    decode_head=dict(in_channels=1024, hidden_channels=()),
)
