# As central_asia_source.py, all dates of a series moved at random by up to 8 days.
_base_ = ['./central_asia_source.py']
# Dates move within their 16 days only, so that the network knows days between the calendar's.
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='SampleDates', num_dates=16),
            dict(type='ShiftDays', days=(-8, 7)),
            dict(type='PackSeriesInputs'),
        ]
    )
)
