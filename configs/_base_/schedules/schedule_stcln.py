# The published recipe of STCLN: Adam with a constant learning rate. Iterations and validation depend on the dataset.
optimizer = dict(type='Adam', lr=1e-4)
optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=None)
param_scheduler = None

train_cfg = dict(type='IterBasedTrainLoop', max_iters=7600, val_interval=76)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
