"""Hugging Face's AutoTrain on this machine: the real `autotrain` command, with libraries of its own.

adapter       starts runs and tells how they are doing     run      one run from top to bottom, on a thread of its own
environment   the virtual environment, built when it is first needed; what goes in is data: *.txt
job           our hyperparameters as AutoTrain's YAML       log      its log, read into figures and reasons
program       a command that can be ended with all that it started; `leash` is the process above it
settings      what the commands are told of this machine, and what they are not

It only meets AutoTrain's command line with a file of its own making: not its web pages, not its cloud back ends.
The base model and the examples come from, and the adapter goes back to, `python -m providers.local.portable`.
"""
