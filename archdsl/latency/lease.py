"""The lock of a device, under the path of earlier versions."""

from archdsl.timing.device_lock import lease as lease
