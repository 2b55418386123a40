# JUMBOT, DK1 to FR1; published but for its solver, which has a float64 kernel.
# It starts from the best weights of pseltae_source.py; scenario, fold and classes as there.
_base_ = ['../_base_/datasets/timematch_adaptation_rivals.py', '../_base_/adaptation/jumbot.py']
load_from = 'work_dirs/pseltae_source/best_macro_F1_iter_*.pth'
