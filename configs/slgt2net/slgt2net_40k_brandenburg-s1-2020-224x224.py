# SL-GT2Net on the second set of Brandenburg (Sentinel-1 too, season 2020/21) as released.
_base_ = './slgt2net_40k_brandenburg-s1-224x224.py'
data_root = '{{$MMSITS_DATA:data}}/brandenburg/s2_2020_2021'

model = dict(data_preprocessor=dict(statistics=dict(s1=dict(mean=[-16.54, -10.91], std=[3.07, 2.89]))))

_season = dict(data_root=data_root, period=('2020-10-01', '2021-09-30'))
train_dataloader = dict(dataset=_season)
val_dataloader = dict(dataset=_season)
test_dataloader = dict(dataset=_season)
