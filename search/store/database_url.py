"""The URL of a database in which machines share a study."""

from __future__ import annotations

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from archdsl.errors import SearchError, WrongUse


def address(url: str) -> str:
    """The URL as SQLAlchemy reads it, with psycopg 3 as the driver.

    Raises:
        WrongUse: it names no PostgreSQL database.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg") or not rest:
        raise WrongUse(f"--storage: a study is shared through postgresql://USER@HOST/DATABASE; got {shown(url)}")
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise SearchError("a shared study needs psycopg; pip install 'archdsl[postgres]'") from None
    return f"postgresql+psycopg://{rest}".replace("{", "{{").replace("}", "}}")  # Optuna reads it as a template


def shown(url: str) -> str:
    """The URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "what is no URL"
