# JUMBOT from Samarkand to Fergana, 12 classes.
_base_ = ['../_base_/datasets/central_asia_adaptation.py', '../_base_/adaptation/jumbot.py']
load_from = 'work_dirs/central_asia_source/iter_600.pth'
model = dict(
    segmentor=dict(
        data_preprocessor=dict(_delete_=True, type='SeriesDataPreprocessor', sensors=dict(ndvi=1)),
        backbone=dict(in_channels=1, sensor='ndvi'),
    )
)
train_cfg = dict(max_iters=300)
val_cfg = None
default_hooks = dict(checkpoint=dict(interval=300))
