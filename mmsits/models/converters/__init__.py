"""Published weights under the names of this library."""

from .utae import convert_utae, rename_utae_key, utae_options

__all__ = ['convert_utae', 'rename_utae_key', 'utae_options']
