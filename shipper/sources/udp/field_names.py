"""Makes names of feed fields out of register paths, by the rules of OCS, the Observatory Control System.

Messages of registers went to feeds whose fields have such names; who looks for `rootFoo3Bar` still finds it.
"""

from __future__ import annotations

import string

MAX_NAME_CHARACTERS = 255
NAME_OF_NOTHING = "invalid_field"

_KEPT = (string.ascii_letters + string.digits + "_").encode("ascii")
_SPACE_TO_UNDERSCORE = bytes.maketrans(b" ", b"_")
_REMOVED = bytes(code for code in range(256) if code not in _KEPT + b" ")


def field_name(path: str) -> str:
    """Return the name of the field that a register's path becomes; two paths may become the same, or nothing.

    A space becomes `_`, everything but ASCII letters, digits and `_` is removed, and so is what stands between leading
    underscores and the first letter: `root.Foo[3].Bar` is `rootFoo3Bar`, `_9x` is `_x`, `...` is empty.
    """
    if not path:
        return NAME_OF_NOTHING
    name = path.encode("ascii", "ignore").translate(_SPACE_TO_UNDERSCORE, _REMOVED).decode("ascii")
    underscores = name[: len(name) - len(name.lstrip("_"))]
    return (underscores + name.lstrip(string.digits + "_"))[:MAX_NAME_CHARACTERS]
