"""Every setting, typed, with its unit: the one place that reads the environment."""

from moonx_pipeline.settings.load import InvalidSettings, Settings, load_settings

__all__ = ["InvalidSettings", "Settings", "load_settings"]
