# The simulated regions of timematch_simulated.py, with the batches of timematch_adaptation.py.
_base_ = ['./timematch_adaptation.py']

data_root = '{{$MMSITS_DATA:data}}/simulated_parcels'
source = 'france/SIM00/2018'
target = 'france/SIM01/2018'
min_parcels = 10
