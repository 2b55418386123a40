# STNet on single pixels of your own scene, from scratch, or pre-trained: --cfg-options load_from=CHECKPOINT. A base to
# inherit as pixels_scene.py. It needs the ten Sentinel-2 bands of 10 m and 20 m in the order of their numbers.
_base_ = './pixels_scene.py'

model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True, type='STNet', d_model=128, n_head=16, num_layers=1, hidden_channels=128, dropout=0.2
        )
    ),
    decode_head=dict(
        _delete_=True, type='MLPHead', in_channels=128, hidden_channels=(64, 32), hidden_bias=True, num_classes=21
    ),
)
custom_hooks = [dict(type='WeightTransferHook'), dict(type='ClassWeightHook', scheme='inverse_sqrt')]
