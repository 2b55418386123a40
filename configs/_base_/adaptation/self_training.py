# The network and schedule of TimeMatch and FixMatch.
_base_ = ['adaptation_runtime.py', '../models/pse_ltae.py', '../schedules/schedule_timematch.py']
