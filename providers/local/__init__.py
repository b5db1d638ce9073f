"""Training and serving on this machine: the only place that knows torch.

training/       the trainer: a process for each run, started and watched by the adapter
serving/        the model server, OpenAI-compatible: one process for all models
adapter         the TrainingProvider: starts trainers, tells how they are doing
memory          what a training takes, estimated; hardware: what this machine has
base_models     names -> folders with a model that transformers can load
settings        the environment of these processes
threads         how many threads compute while others want the processor too
tokenizer_file  where a base model's tokenizer lies, for whoever only counts
"""
