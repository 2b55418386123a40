# Masked pre-training on Sentinel-1 and Sentinel-2 together: of half of the samples, all dates of one sensor are hidden,
# and have to be reconstructed from the other.
_base_ = './stcln_pretrain_simulated.py'

model = dict(
    data_preprocessor=dict(sensors=dict(s2=10, s1a=3)),
    backbone=dict(further_sensors=dict(s1a=3)),
    hide_sensor=0.5,
)
_sensors = ('s2', 's1a')
train_dataloader = dict(dataset=dict(sensors=_sensors))
val_dataloader = dict(dataset=dict(sensors=_sensors))
