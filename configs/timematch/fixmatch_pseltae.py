# FixMatch: TimeMatch without any shift, DK1 to FR1.
# It starts from the best weights of pseltae_source.py; scenario, fold and classes as there.
_base_ = ['../_base_/datasets/timematch_adaptation.py', '../_base_/adaptation/fixmatch.py']
load_from = 'work_dirs/pseltae_source/best_macro_F1_iter_*.pth'
