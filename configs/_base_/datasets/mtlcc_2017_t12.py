# MTLCC of 2017 in tiles of 48×48 pixels, 12 dates of each: the other year, and short series.
_base_ = './mtlcc_2016.py'

train_pipeline = [dict(type='SampleDates', num_dates=12), dict(type='PackSeriesInputs')]
test_pipeline = [dict(type='SampleDates', num_dates=12, random=False), dict(type='PackSeriesInputs')]

train_dataloader = dict(dataset=dict(year=2017, min_dates=12, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(year=2017, min_dates=12, pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(year=2017, min_dates=12, pipeline=test_pipeline))
