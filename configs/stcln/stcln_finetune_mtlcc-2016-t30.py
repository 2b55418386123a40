# As stcln_finetune_mtlcc-2017-t12.py, on MTLCC of 2016 with 30 dates.
_base_ = './stcln_finetune_mtlcc-2017-t12.py'

train_pipeline = [dict(type='SampleDates', num_dates=30), dict(type='PackSeriesInputs')]
test_pipeline = [dict(type='SampleDates', num_dates=30, random=False), dict(type='PackSeriesInputs')]

train_dataloader = dict(dataset=dict(year=2016, min_dates=30, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(year=2016, min_dates=30, pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(year=2016, min_dates=30, pipeline=test_pipeline))
