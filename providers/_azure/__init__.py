"""What the rooms of Azure's vendors share; each of them builds on it.

identity  Entra ID: credentials -> tokens, cached and renewed
trust     which certificates count at Azure's addresses
errors    what Azure's client libraries raise -> providers.errors, in words for people and without secrets
"""
