"""One name that Python 3.10 lacks: TaskGroup. Nothing else belongs here."""

import sys

if sys.version_info >= (3, 11):
    from asyncio import TaskGroup
else:
    from taskgroup import TaskGroup

__all__ = ["TaskGroup"]
