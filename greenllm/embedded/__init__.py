"""The services a fresh machine lacks, run from wheels: Postgres, Valkey, Chroma and a small LLM server.

Nothing here knows Django, so that tests and commands can start the services before Django is configured.
"""
