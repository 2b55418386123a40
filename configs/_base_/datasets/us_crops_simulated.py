# Simulated pixels in the layout of SITS-MoCo:
# python tools/dataset_converters/simulate.py data/simulated_pixels --layout us-crops
_base_ = ['./us_crops.py']
data_root = '{{$MMSITS_DATA:data}}/simulated_pixels'
train_pipeline = [
    dict(type='RollDates'),
    dict(type='SampleDates', num_dates=40, repeat=True),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
