"""A run: from a filled-in form to its end.

choices     what a person chose, and how the dataset is divided by that
offered     where a workspace can train and on what, with prices and what is over
proposal    the form as it is filled in, and filled anew after a change
plan        every problem with what was chosen
drafts      what a form on somebody's screen says so far
grading     what judges answers in reinforcement: proposed, read, checked
rehearsal   a dataset written as its provider wants it, to see what cannot be
leaks       what of the test was also learnt from, before anything starts
billing     the tokens that are billed, and what each provider asks for them
counting    the tokens of a small dataset as the chosen model counts them
cost        steps, tokens, time and money of a plan, before it starts
job_file    a plan as YAML, written and read: job_yaml strictly, job_fields one by one; autotrain_file reads AutoTrain's
actual      what a run has really cost
rehome      a run repeated elsewhere: where, for how much, with which settings
lifecycle   the only place that moves a run: start, cancel, transitions, ends
division    which examples are learnt from, watched and tested on; kept for every attempt
material    a run's files, written by that division
progress    what a run's card shows while it trains
watching    which runs at vendors are due to be asked about; pace says how often, news what an answer makes of a run
checkpoints models that a vendor's training left on its way; model_deletion ends a tuned model and them for ever
comparison  what the answers of its models come to, or why there are none
spending    what an evaluation's questions cost; conclusion is what its end leaves: endpoint, messages, hosting
"""
