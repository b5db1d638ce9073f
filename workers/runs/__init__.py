"""A run: from a filled-in form to its end.

plan        what a form offers, what a person chose, and every problem with it
cost        steps, tokens, time and money of a plan, before it starts
lifecycle   the only place that moves a run: start, cancel, transitions, ends
progress    what a run's card shows while it trains
"""
