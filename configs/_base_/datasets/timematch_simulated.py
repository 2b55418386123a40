# Two simulated regions in the layout of TimeMatch, the second one with later vegetation:
# python tools/dataset_converters/simulate.py data/simulated_parcels --layout timematch --patches 16 \
#     --target-shift-days 30
_base_ = ['./timematch.py']

data_root = '{{$MMSITS_DATA:data}}/simulated_parcels'
source = 'france/SIM00/2018'
target = 'france/SIM01/2018'
min_parcels = 10
