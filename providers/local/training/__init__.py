"""The trainer: a process of its own for each run.

__main__     the process: what it is told, and how it ends
recipe       a training from top to bottom
held_out     judging the model by answers that it does not learn, before and after
methods/     what differs between SFT and the others
knobs        hyperparameters, checked before anything is started
arguments    what transformers' trainer is told; precision: in how many bits
weights      the base model in memory, and the adapter that is trained on it
batches      examples without padding; batch_size: how many at once, where the machine decides
preflight    a few steps on the smallest batch before a long training
best         the model with the lowest validation loss: kept, and taken in the end
progress     what it tells while it trains; control: what its watcher wants of it
run_folder   the files by which the two speak
"""
