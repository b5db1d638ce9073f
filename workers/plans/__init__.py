"""A plan: what a person wants trained, from an empty form or a file to something that can start.

choices     what a person chose, and how the dataset is divided by that
methods     by which methods a dataset can be learnt, and where
offered     where a workspace can train and on what, with prices and what is over
proposal    the form as it is filled in, and filled anew after a change
plan        every problem with what was chosen
presets     sets of hyperparameters under a name; memory: whether a training fits into a machine's
drafts      what a form on somebody's screen says so far
grading     what judges answers in reinforcement: proposed, read, checked
billing     the tokens that are billed, and what each provider asks for them
cost        steps, tokens, time and money of a plan, before it starts
job_file    a plan as YAML, written and read: job_yaml strictly, job_fields one by one; autotrain_file reads AutoTrain's
"""
