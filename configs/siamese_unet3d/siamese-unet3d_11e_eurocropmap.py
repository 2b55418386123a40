# Pre-training on EUCROPMAP, 11 epochs. Set val_interval to the batches of an epoch (patches with a crop / 16, rounded
# down; the log names the number of patches): --cfg-options val_interval=1234 train_cfg.val_interval=1234
# train_cfg.max_iters=13574
_base_ = [
    '../_base_/models/siamese_unet3d.py',
    '../_base_/datasets/eurocropmap.py',
    '../_base_/schedules/schedule_cropmapping.py',
    '../_base_/default_runtime.py',
]
