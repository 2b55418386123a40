# A small U-TAE on a simulated region: `make demo`. Simulated beforehand with tools/dataset_converters/simulate.py.
_base_ = [
    '../_base_/models/utae.py',
    '../_base_/datasets/pastis.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]
data_root = '{{$MMSITS_DATA:data}}/demo_simulated'

model = dict(
    backbone=dict(encoder_widths=(16, 16, 32, 64), decoder_widths=(16, 16, 32, 64), n_head=8, d_model=64),
    decode_head=dict(in_channels=16, channels=16),
)
train_dataloader = dict(num_workers=1)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(interval=200), logger=dict(interval=20))
