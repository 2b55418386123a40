# The LSTM on simulated pixels, from scratch or pre-trained:
# ../sitsmoco/moco-v2_transformer_simulated.py has the commands.
_base_ = [
    '../_base_/models/sitsmoco_lstm.py',
    '../_base_/datasets/us_crops_simulated.py',
    '../_base_/schedules/schedule_sitsmoco_short.py',
    '../_base_/default_runtime.py',
]
custom_hooks = [dict(type='WeightTransferHook')]
default_hooks = dict(checkpoint=dict(interval=50, save_best='macro_F1'), logger=dict(interval=50))
