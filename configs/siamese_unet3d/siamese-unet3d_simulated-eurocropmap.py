# A small network on a simulated region: four minutes on one core. Simulated beforehand:
# python tools/dataset_converters/simulate.py data/simulated_eurocropmap --layout eurocropmap --patches 35
#     --patch-size 64
_base_ = [
    '../_base_/models/siamese_unet3d.py',
    '../_base_/datasets/eurocropmap.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]
data_root = '{{$MMSITS_DATA:data}}/simulated_eurocropmap'

model = dict(backbone=dict(width=8), decode_head=dict(in_channels=16))
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, keep_in_memory=True)
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
optim_wrapper = dict(optimizer=dict(lr=5e-3))
train_cfg = dict(max_iters=300, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
