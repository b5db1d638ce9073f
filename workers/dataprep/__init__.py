"""Files -> checked examples: pure functions over streams, no database, no Slack.

example     Message and Example, the one type that every format becomes
lines       bytes -> records: encoding, container, size limits, what is no text at all
formats     one reader a format; which one a file is in is found from its content
checks      one function a check, listed once
tokens      counting, as the vendors count
report      Finding, DatasetReport, `check_file`: what the channel and the console show
roles       which of several files is for training and which is held out
split       what is learnt from and what is held out
convert     writing examples in a provider's format
"""
