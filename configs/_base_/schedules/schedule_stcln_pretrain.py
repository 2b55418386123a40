# The published recipe of STCLN's pre-training: 100 epochs, however many batches these are; Adam with a constant
# learning rate, gradients cut at a norm of 5.
optimizer = dict(type='Adam', lr=1e-4)
optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=dict(max_norm=5.0))
param_scheduler = None

train_cfg = dict(type='EpochCountedTrainLoop', max_epochs=100)
val_cfg = None
test_cfg = None
