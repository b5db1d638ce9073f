"""A run: from a filled-in form to its end.

choices     what a person chose, and how the dataset is divided by that
plan        what a form offers, and every problem with what was chosen
leaks       what of the test was also learnt from, before anything starts
billing     the tokens that are billed, and what each provider asks for them
counting    the tokens of a small dataset as the chosen model counts them
cost        steps, tokens, time and money of a plan, before it starts
lifecycle   the only place that moves a run: start, cancel, transitions, ends
division    which examples are learnt from, watched and tested on; kept for every attempt
material    a run's files, written by that division
progress    what a run's card shows while it trains
comparison  what the answers of its models come to, or why there are none
"""
