"""The database as the pysmurf monitor of 2021 found it: in `MYSQL_USER` and its companions."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import URL

from shipper.core.errors import ConfigError

USER, PASSWORD, HOST, DATABASE = "MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_HOST", "MYSQL_DATABASE"

DEFAULT_HOST = "localhost"
DEFAULT_DATABASE = "files"


def url_from_mysql_environment(environ: Mapping[str, str]) -> str | None:
    """Return the URL, with the password in it; `None` when neither user nor password is set.

    Raises:
        ConfigError: One of them is set and the other is not.
    """
    user, password = environ.get(USER), environ.get(PASSWORD)
    if not user and not password:
        return None
    if not user:
        raise ConfigError(f"{PASSWORD} is set and {USER} is not: set both, or store.url")
    if password is None:
        raise ConfigError(f"{USER} is set and {PASSWORD} is not: set both, or store.url")
    url = URL.create(
        "mysql",
        username=user,
        password=password,
        host=environ.get(HOST) or DEFAULT_HOST,
        database=environ.get(DATABASE) or DEFAULT_DATABASE,
    )
    return url.render_as_string(hide_password=False)
