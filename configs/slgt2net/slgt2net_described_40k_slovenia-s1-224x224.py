# SL-GT2Net on MTS12 as the paper describes it: sparse attention and channel refinement, which the release leaves out.
_base_ = './slgt2net_40k_slovenia-s1-224x224.py'

model = dict(backbone=dict(topk_div=2, channel_refinement=True))
