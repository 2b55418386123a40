# Fine-tuning on simulated fields, a tenth of them marked, a crop at a time. Simulated beforehand:
# python tools/dataset_converters/simulate.py data/simulated_isrc --layout isrc --patches 35 --patch-size 64
#     --annotated-share 0.1 --seed 1
_base_ = [
    '../_base_/models/siamese_unet3d.py',
    '../_base_/datasets/isrc.py',
    '../_base_/schedules/schedule_demo.py',
    '../_base_/default_runtime.py',
]
data_root = '{{$MMSITS_DATA:data}}/simulated_isrc'
load_from = 'work_dirs/siamese-unet3d_simulated-eurocropmap/best_*.pth'

# The marked share of the fields is known here, and so is the share of a crop among the pixels that are not marked.
model = dict(
    backbone=dict(width=8),
    decode_head=dict(
        in_channels=16,
        num_classes=9,
        hidden_channels=32,
        loss_decode=dict(_delete_=True, type='PositiveUnlabelledLoss', prior=0.1),
    ),
)
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root, keep_in_memory=True)
)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
# Ten times slower where the weights are trained already, as published (1e-5 and 1e-4).
optim_wrapper = dict(optimizer=dict(lr=5e-3), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
custom_hooks = [dict(type='WeightTransferHook')]
train_cfg = dict(max_iters=150, val_interval=75)
default_hooks = dict(checkpoint=dict(interval=75), logger=dict(interval=15))
