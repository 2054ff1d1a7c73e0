"""Django's Postgres, watched while a page waits for a connection of the pool: `ENGINE` of a web process."""
