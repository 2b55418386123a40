"""Checks against golden values of the published implementations, one file per method or dataset."""
