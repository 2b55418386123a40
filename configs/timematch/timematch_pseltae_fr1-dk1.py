# TimeMatch, FR1 to DK1: what a scenario's own config looks like.
_base_ = './timematch_pseltae.py'
source, target = 'FR1', 'DK1'
load_from = 'work_dirs/timematch/FR1-DK1/fold0/source/best_macro_F1_iter_*.pth'
