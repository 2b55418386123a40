# Masked pre-training of STCLN on PASTIS by the published recipe: fold 5, 100 epochs of 1944 batches of four crops.
_base_ = [
    '../_base_/models/stcln_pretrain.py',
    '../_base_/datasets/stcln_pastis_pretrain.py',
    '../_base_/schedules/schedule_stcln_pretrain.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(interval=1944, max_keep_ckpts=3, save_best=None))
custom_hooks = [dict(type='ReconstructionDrawingHook', interval=1944)]
randomness = dict(seed=3407)
