# As stcln_finetune_simulated.py, with pre-trained weights that move less the earlier they come: the convolutions are
# frozen, the layers of the transformer learn at a quarter and half of the rate, the head at the full one.
_base_ = './stcln_finetune_simulated.py'

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'backbone.stages': dict(lr_mult=0.0),
            'backbone.temporal_encoder': dict(lr_mult=0.25),
            'backbone.temporal_encoder.layers.1': dict(lr_mult=0.5),
        }
    )
)
