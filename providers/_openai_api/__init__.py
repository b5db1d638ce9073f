"""OpenAI's fine-tuning API, as far as OpenAI and Azure OpenAI speak it alike; each vendor's room builds on it.

connections  when they are closed
errors    what its client library raises -> providers.errors, in words for people and without secrets
answers   the vendor's JSON, read with suspicion: any field may be missing, null or nonsense
files     training files there: uploaded once, waited for, deleted
method    a TrainingRequest -> the body of the create call, every problem at once
graders   what computes the reward of reinforcement fine-tuning
jobs      provider jobs: created at most once, found again, cancelled, paused, resumed
submitting  from a request to its provider job: looked for, uploaded, waited for, created
watching  one poll: a job's state, its new events and metrics
results   the file of metrics that a finished job leaves
models    what may be asked there: listed, checkpoints, deleted
"""
