"""Where records come from: one module or folder per kind of far end, found because it lies here."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from shipper.config.models import SourceSettings


def discover() -> dict[str, type[SourceSettings]]:
    """Return the settings class of every kind of source, by the name of its module.

    A module takes part by defining one `SourceSettings` subclass. Drivers are not imported here.
    """
    return {
        module.name: _settings_class(importlib.import_module(f"{__name__}.{module.name}"))
        for module in pkgutil.iter_modules(__path__)
    }


def _settings_class(module: ModuleType) -> type[SourceSettings]:
    for value in vars(module).values():
        if (
            isinstance(value, type)
            and issubclass(value, SourceSettings)
            and value is not SourceSettings
        ):
            return value
    raise TypeError(f"{module.__name__} defines no subclass of SourceSettings")
