"""Agents by name. An agent is loaded when it is opened, so that a light one never imports a heavy one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from duplex.config import ConfigError
from duplex.session import Agent

FACTORIES = {
    "native": "duplex.agents.native:open_native",
    "cascade": "duplex.agents.cascade:open_cascade",
    "echo": "duplex.agents.echo:open_echo",
    "scripted": "duplex.agents.echo:open_scripted",
}


def open_agent(name: str, settings: Mapping[str, Any] | None = None) -> Agent:
    """The agent `name`, one of FACTORIES or "package.module:factory"; a factory takes its settings as plain values.

    Blocks while weights load. Raises ConfigError for an unknown name or setting, and MissingFile for weights that
    are not there.
    """
    spec = FACTORIES.get(name, name)
    module_name, colon, function = spec.partition(":")
    if not colon:
        raise ConfigError(f"no agent {name!r}; known: {', '.join(FACTORIES)}, or package.module:factory")
    try:
        factory = getattr(importlib.import_module(module_name), function)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"agent {name!r} cannot be loaded: {error}") from None
    return factory(settings or {})
