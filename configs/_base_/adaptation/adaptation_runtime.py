# What all adaptation runs share. They start from weights trained on the source: load_from=…
_base_ = '../default_runtime.py'
# No label of the target chooses the weights: the last ones count. save_best='macro_F1' would choose by the target.
default_hooks = dict(
    checkpoint=dict(interval=500, save_best=None),
    source_weights=dict(type='SourceWeightsHook'),
)
