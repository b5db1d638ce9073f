"""The database's history: one file a step in versions/. `env.py` says how a step is made."""
