# Adam with a constant learning rate, as published: 100 passes over 2700 labelled series in batches of 512, after a
# warm-up over the first of them. The best weights on the validation part are tested.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-4, fused=True), clip_grad=None
)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=6)]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=530, val_interval=53)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
