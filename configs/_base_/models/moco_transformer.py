# MoCo v2 with the Transformer of SITS-MoCo, whose weights STNet takes too. The queue must hold the keys of a step.
_base_ = './sitsmoco_transformer.py'
model = dict(
    _delete_=True,
    type='SeriesMoCo',
    data_preprocessor={{_base_.model.data_preprocessor}},
    backbone={{_base_.model.backbone}},
    dim=128,
    queue_size=65536,
    momentum=0.999,
    temperature=0.07,
    mlp=True,
)
