# A small SL-GT2Net on real radar of Flanders in the layout of MTS12: trained on one patch (2018), tested on another
# (2019). Only the classes cultivated land, grassland and artificial surface occur.
_base_ = './slgt2net_simulated-mts12.py'
data_root = '{{$MMSITS_DATA:data}}/flanders-s1/slovenia'

train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root=data_root))
# There is no third part to choose on: the last weights are the ones to test.
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = dict(dataset=dict(data_root=data_root, split='val'))

default_hooks = dict(checkpoint=dict(save_best=None))
