# Fine-tuning on single crops of Iran, 5 epochs: the head is new and learns at 1e-4, all else at 1e-5.
# --cfg-options load_from=work_dirs/siamese-unet3d_11e_eurocropmap/best_*.pth, or converted published weights.
_base_ = [
    '../_base_/models/siamese_unet3d.py',
    '../_base_/datasets/isrc.py',
    '../_base_/schedules/schedule_cropmapping.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/siamese-unet3d_11e_eurocropmap/best_*.pth'

model = dict(decode_head=dict(num_classes=9, hidden_channels=32, threshold=0.35))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
custom_hooks = [dict(type='WeightTransferHook')]
train_cfg = dict(max_epochs=5, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
