# Pre-training on simulated pixels, then fine-tuning. In this order, a few minutes on one processor core:
#
#   python tools/dataset_converters/simulate.py data/simulated_pixels --layout us-crops
#   python tools/train.py configs/sitsmoco/moco-v2_transformer_simulated.py
#   python tools/train.py configs/stnet/stnet_simulated.py \
#       --cfg-options load_from=work_dirs/moco-v2_transformer_simulated/iter_300.pth
#   python tools/test.py configs/stnet/stnet_simulated.py 'work_dirs/stnet_simulated/best_macro_F1_iter_*.pth'
_base_ = './moco-v2_transformer_us-crops.py'
data_root = '{{$MMSITS_DATA:data}}/simulated_pixels'

view_pipeline = [
    dict(type='RollDates'),
    dict(type='DisturbDates', amount=dict(s2={{_base_._amount}})),
    dict(type='ThinDates'),
    dict(type='SampleDates', num_dates=30, repeat=True),
    dict(type='PackSeriesInputs'),
]
train_dataloader = dict(batch_size=128, dataset=dict(pipeline=view_pipeline))
# Smaller data, a smaller queue: no more keys than there are series.
model = dict(queue_size=2048)
train_cfg = dict(max_iters=300)

_probe = dict(type='USCropsDataset', data_root=data_root, pipeline=[dict(type='PackSeriesInputs')])
custom_hooks = [
    dict(type='ContrastMonitorHook', interval=50),
    dict(
        type='NearestNeighbourProbeHook',
        reference=dict(split='train', **_probe),
        probed=dict(split='valid', **_probe),
        interval=100,
    ),
]
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=50))
