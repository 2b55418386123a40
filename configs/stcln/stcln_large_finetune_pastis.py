# The larger STCLN on 2 % of the labels of PASTIS; --cfg-options load_from=<checkpoint of the pre-training>.
_base_ = [
    '../_base_/models/stcln_large.py',
    '../_base_/datasets/stcln_pastis.py',
    '../_base_/schedules/schedule_stcln.py',
    '../_base_/default_runtime.py',
]

default_hooks = dict(checkpoint=dict(interval=76, save_best='OA'))
custom_hooks = [dict(type='WeightTransferHook')]
randomness = dict(seed=3407, deterministic=True)
