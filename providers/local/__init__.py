"""Training and serving on this machine: the only place that knows torch.

Where the work is done (processes of their own)
  sft           the trainer: one run, started and watched by the adapter
  serve         the model server, OpenAI-compatible: http in `openai_api`, decoding in `engine`

What leads there
  adapter       the TrainingProvider: starts trainers, tells how they are doing
  knobs         hyperparameters, checked before anything is started
  run_folder    the files by which a trainer and its watcher speak
  base_models   names -> folders with a model that transformers can load
  tokenizer_file  where a base model's tokenizer lies, for whoever only counts
"""
