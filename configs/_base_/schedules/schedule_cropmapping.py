# 11 epochs of the patches with a crop, however many batches these are; Adam with a constant learning rate, as the
# remnants in the published fine-tuning script suggest for the pre-training.
optimizer = dict(type='Adam', lr=1e-4)
optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=None)
param_scheduler = None

train_cfg = dict(type='EpochCountedTrainLoop', max_epochs=11, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
