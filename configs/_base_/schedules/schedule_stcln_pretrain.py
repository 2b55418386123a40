# The published recipe of STCLN's pre-training: Adam with a constant learning rate, gradients cut at a norm of 5.
optimizer = dict(type='Adam', lr=1e-4)
optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=dict(max_norm=5.0))
param_scheduler = None

train_cfg = dict(type='IterBasedTrainLoop', max_iters=194400, val_interval=194400)
val_cfg = None
test_cfg = None
