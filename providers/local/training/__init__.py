"""The trainer: a process of its own for each run.

__main__     the process: what it is told, and how it ends
recipe       a training from top to bottom
held_out     judging the model by answers that it does not learn, before and after
methods/     what differs between SFT and the others
knobs        hyperparameters, checked before anything is started
arguments    what transformers' trainer is told; precision: in how many bits
weights      the base model in memory, and the adapter that is trained on it
progress     what it tells while it trains; control: what its watcher wants of it
run_folder   the files by which the two speak
"""
