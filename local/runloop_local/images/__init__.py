"""Images: named as Docker names them, pulled from registries, engines, folders and archives, and kept as layers."""

from runloop_local.images.errors import ImageError
from runloop_local.images.image import Image, ImageConfig
from runloop_local.images.reference import Reference
from runloop_local.registry_settings import RegistrySettings, parse_registries

__all__ = ["Image", "ImageConfig", "ImageError", "Reference", "RegistrySettings", "parse_registries"]
