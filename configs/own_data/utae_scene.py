# U-TAE on windows of your own scene: a base to inherit. docs/your_data.md says what a child config has to name.
_base_ = [
    '../_base_/models/utae.py',
    '../_base_/datasets/scene.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(encoder_widths=(32, 32, 64, 64), decoder_widths=(32, 32, 64, 64), d_model=128),
)
