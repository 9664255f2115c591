"""Every setting, typed, with its unit. Only this package reads the environment."""

from moonx_pipeline.settings.load import InvalidSettings, Settings, load_settings

__all__ = ["InvalidSettings", "Settings", "load_settings"]
