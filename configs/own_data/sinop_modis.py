# Land use of Sinop, Mato Grosso: learnt from a table of points (configs/series/recipe_sinop.py), mapped on rasters of
# the same sensor: docs/your_data.md has the command.
_base_ = '../series/recipe_sinop.py'
# Perceptrons alone, as in pixels_scene.py.
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True,
            type='SeriesMLP',
            hidden_channels=(256, 256),
            members=5,
            days=(12, 362),
            length=12,
            input_dropout=0.0,
            dropout=0.2,
        )
    ),
    decode_head=dict(in_channels=1280, num_members=5),
)
