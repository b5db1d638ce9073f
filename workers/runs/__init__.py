"""A run: a plan that was started, to its end.

lifecycle   the only place that moves a run: start, cancel, transitions, ends
division    which examples are learnt from, watched and tested on; kept for every attempt
material    a run's files, written by that division
rehearsal   a dataset written as its provider wants it, to see what cannot be
leaks       what of the test was also learnt from, before anything starts
counting    the tokens of a small dataset as the chosen model counts them
progress    what a run's card shows while it trains
watching    which runs at vendors are due to be asked about; pace says how often, news what an answer makes of a run
checkpoints models that a vendor's training left on its way; model_deletion ends a tuned model and them for ever
comparison  what the answers of its models come to, or why there are none
spending    what an evaluation's questions cost; conclusion is what its end leaves: endpoint, messages, hosting
actual      what a run has really cost; model_card: what of a run can be taken along
rehome      a run repeated elsewhere: where, for how much, with which settings
"""
