# Adam for 600 iterations: a short warm-up, then down to zero along a cosine.
optimizer = dict(type='Adam', lr=3e-3)
optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=None)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50, by_epoch=False),
    dict(type='CosineAnnealingLR', begin=50, end=600, T_max=550, eta_min=0, by_epoch=False),
]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=200)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
