"""The one place where the version number stands; the packaging reads it from here without importing the package."""

__version__ = '0.1.0'
