"""The lock of a device, under the path and the name of earlier versions."""

from archdsl.timing.device_lock import device_lock as lease

__all__ = ["lease"]
