# Pre-training on EUCROPMAP, 11 epochs.
_base_ = [
    '../_base_/models/siamese_unet3d.py',
    '../_base_/datasets/eurocropmap.py',
    '../_base_/schedules/schedule_cropmapping.py',
    '../_base_/default_runtime.py',
]
