# The control of the rivals: the same training without their loss, DK1 to FR1.
# It starts from the best weights of pseltae_source.py; scenario, fold and classes as there.
_base_ = ['../_base_/datasets/timematch_adaptation_rivals.py', '../_base_/adaptation/control.py']
load_from = 'work_dirs/pseltae_source/best_macro_F1_iter_*.pth'
