# STCLN on 2 % of the labels of PASTIS by the published recipe, 100 epochs of 76 batches; from scratch, or with
# --cfg-options load_from=<checkpoint of stcln_pretrain_pastis.py, or what tools/model_converters/stcln.py wrote>.
_base_ = [
    '../_base_/models/stcln.py',
    '../_base_/datasets/stcln_pastis.py',
    '../_base_/schedules/schedule_stcln.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(interval=76, save_best='OA'))
custom_hooks = [dict(type='WeightTransferHook')]
randomness = dict(seed=3407, deterministic=True)
