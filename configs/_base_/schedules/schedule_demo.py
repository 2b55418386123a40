# Adam for 600 iterations; the learning rate falls to zero along a cosine that ends with the run, however long.
optimizer = dict(type='Adam', lr=2e-3)
optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=None)
param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0, by_epoch=False)]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=200)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
