# TimeMatch's schedule: Adam for 20 intervals of 500 iterations, the learning rate falling to zero along a cosine.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, weight_decay=1e-4), clip_grad=None)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0, by_epoch=False)]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=10000, val_interval=500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
