"""The migrations of all tables, for Alembic; every set of tables has its branch and its own table of the version."""
