# The published recipe of TSViT: AdamW, a warm-up of 10 of 100 epochs, one cosine over the run. Three of five folds of
# PASTIS are about 36500 windows of 24×24 pixels, so 2281 batches of 16; a new rate once per epoch.
_epoch = 2281
optimizer = dict(type='AdamW', lr=1e-3, weight_decay=0.0)
optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=None)
param_scheduler = [
    dict(
        type='WarmupCosineLR',
        warmup=10 * _epoch,
        start_value=1e-8,
        eta_min=5e-6,
        held_for=_epoch,
        by_epoch=False,
    )
]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=100 * _epoch, val_interval=2000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
