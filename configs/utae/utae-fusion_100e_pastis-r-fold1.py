# U-TAE on Sentinel-1 (ascending and descending) and Sentinel-2 of PASTIS-R, late fusion, first of five runs.
_base_ = [
    '../_base_/models/utae_fusion.py',
    '../_base_/datasets/pastis.py',
    '../_base_/schedules/schedule_40k.py',
    '../_base_/default_runtime.py',
]
data_root = '{{$MMSITS_DATA:data}}/PASTIS-R'

_sensors = ('s1a', 's1d', 's2')
train_dataloader = dict(dataset=dict(data_root=data_root, sensors=_sensors))
val_dataloader = dict(dataset=dict(data_root=data_root, sensors=_sensors))
test_dataloader = dict(dataset=dict(data_root=data_root, sensors=_sensors))

# The score of PASTIS: void counts neither as truth nor as prediction.
val_evaluator = dict(excluded_classes=['void'], average_over='reference_or_prediction')
test_evaluator = dict(excluded_classes=['void'], average_over='reference_or_prediction')
