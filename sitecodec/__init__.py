"""Compress a static site's images into latent payloads with JPEG fallbacks."""

__version__ = "0.1.0"
