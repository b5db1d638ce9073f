"""One room a vendor behind two small protocols (`base`); nothing here imports bot or workers.

base        the two protocols, TrainingProvider and ChatProvider, and the values they exchange
errors      the error tree; every vendor exception is translated into it in the vendor's room
registry    provider names -> "module:Class", imported only when asked for
stub        a deterministic provider for tests and for trying the flow
local/      training and serving on this machine: the only place that knows torch
"""
