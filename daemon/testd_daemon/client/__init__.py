"""What talks to the handler: `Client` (sync.py) for the command line, `AsyncClient` (aio.py) for an event loop.

A name is imported when it is first used: a quick client pays for nothing else.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.client.aio import AsyncClient
    from testd_daemon.client.sync import Client

__all__ = ["AsyncClient", "Client"]

_HOMES = {"AsyncClient": "aio", "Client": "sync"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
