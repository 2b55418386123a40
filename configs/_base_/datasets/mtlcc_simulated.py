# Simulated fields in the layout of MTLCC; to make them:
# python tools/dataset_converters/simulate.py data/simulated_mtlcc --layout mtlcc --patches 28 --patch-size 24
_base_ = './mtlcc_2016.py'

data_root = '{{$MMSITS_DATA:data}}/simulated_mtlcc'

train_pipeline = [dict(type='SampleDates', num_dates=12), dict(type='PackSeriesInputs')]
test_pipeline = [dict(type='SampleDates', num_dates=12, random=False), dict(type='PackSeriesInputs')]

train_dataloader = dict(dataset=dict(data_root=data_root, min_dates=12, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, min_dates=12, pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(data_root=data_root, min_dates=12, pipeline=test_pipeline))
