# Adam with a constant learning rate, as published, by iterations instead of passes.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, weight_decay=1e-4, fused=True), clip_grad=None
)
param_scheduler = []

train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000)
val_cfg = None
test_cfg = None
