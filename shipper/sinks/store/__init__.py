"""The store: keeps records as rows of a SQL database, and says which of them will never be rows."""
