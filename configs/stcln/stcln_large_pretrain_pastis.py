# Masked pre-training of a larger STCLN on PASTIS; the NDVI of the gate is that of reflectances.
_base_ = [
    '../_base_/models/stcln_large.py',
    '../_base_/datasets/stcln_pastis_pretrain.py',
    '../_base_/schedules/schedule_stcln_pretrain.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='MaskedSeriesModel',
    data_preprocessor={{_base_.model.data_preprocessor}},
    backbone={{_base_.model.backbone}},
    mask=dict(ratio=0.4),
    vegetation_gate=dict(red='B04', nir='B08'),
)
default_hooks = dict(checkpoint=dict(interval=1944, max_keep_ckpts=3, save_best=None))
# Begins with little, ends with most.
custom_hooks = [
    dict(type='MaskRatioHook', begin=0.2, end=0.6),
    dict(type='ReconstructionDrawingHook', interval=1944),
]
randomness = dict(seed=3407)
