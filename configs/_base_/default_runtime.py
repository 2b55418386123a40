default_scope = 'mmseg'
# A list in a child config replaces this one: keep 'mmsits' in it.
custom_imports = dict(imports=['mmsits'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='SeriesCheckpointHook', interval=1000, max_keep_ckpts=2, save_best='mIoU', rule='greater'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # Random numbers of a step depend on its number only: a resumed run repeats them exactly.
    step_seed=dict(type='StepSeedHook'),
    dataset_contract=dict(type='DatasetContractHook'),
    checkpoint_contract=dict(type='CheckpointContractHook'),
    prediction_drawing=dict(type='PredictionDrawingHook', max_pictures=4),
)
custom_hooks = []

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)

vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
