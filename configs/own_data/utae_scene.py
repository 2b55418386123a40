# U-TAE on windows of your own scene: a base to inherit. docs/your_data.md says what a child config has to name.
_base_ = [
    '../_base_/models/utae.py',
    '../_base_/datasets/scene.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]

# A quarter of the published widths: one scene holds no more than they can learn, and a CPU trains them.
model = dict(
    backbone=dict(encoder_widths=(16, 16, 32, 64), decoder_widths=(16, 16, 32, 64), n_head=8, d_model=64),
    decode_head=dict(in_channels=16, channels=16),
)
