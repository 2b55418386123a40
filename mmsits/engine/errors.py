"""Errors of configs and checkpoints that a user can put right: their message is all that a tool prints."""


class ConfigError(ValueError):
    """A config says something that cannot be meant or done."""


class CheckpointError(RuntimeError):
    """A checkpoint that is damaged, does not fit, or may run code when read."""


class DiskWriteError(OSError):
    """A file could not be written; what stood there before is untouched."""
