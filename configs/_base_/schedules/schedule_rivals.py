# The schedule of the methods that TimeMatch is compared with: SGD, the encoders at a tenth of the learning rate of
# classifier and discriminator, all falling with (1 + 0.001 n) ** -0.75.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4),
    paramwise_cfg=dict(custom_keys={'segmentor.backbone': dict(lr_mult=0.1)}),
    clip_grad=None,
)
param_scheduler = [dict(type='InversePowerLR', gamma=0.001, power=0.75)]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=10000, val_interval=500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
