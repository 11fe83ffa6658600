"""The errors sitecodec raises: one class per kind of failure.

Messages are lower case, one line, and say what to do next.
"""


class SitecodecError(Exception):
    """Base of every error that sitecodec raises on purpose."""


class SettingsError(SitecodecError):
    """A setting is unknown, of the wrong type or out of range."""


class ImageError(SitecodecError):
    """A source image cannot be read, or is over the limits."""


class PayloadError(SitecodecError):
    """A payload is not a valid .slat file, or is not one this installation can decode."""


class ModelError(SitecodecError):
    """A model file is missing, malformed or not the one a payload names."""


class EngineError(SitecodecError):
    """The WebAssembly engine could not be loaded or stopped unexpectedly."""


class StoreError(SitecodecError):
    """The store's folder cannot be read or written."""


class SiteError(SitecodecError):
    """A built site cannot be read or rewritten, or strict mode found problems."""
