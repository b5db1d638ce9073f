"""Files -> checked examples, and back: no database, no Slack.

source       a file of any kind -> JSON lines on disk; its readers are containers, encodings, json_array, tables (rows,
             sheets, workbook, parquet, columnar), folders, plain_text and hub; limits bounds them
json_values  one line -> one JSON value, strictly; json_structure, json_words
example      Message and Example, the one type that every record becomes
formats/     one reader a format; which one a file is in is found from its content
checks/      what may be wrong, each with a name, an address and what to do; catalogue lists them all

analysis     a whole dataset: blocks judged on all cores (parallel), then compared
scan         one block; quick proves plain lines in batches, calling those with tools, judge takes the others one by one
notes        what is found, collected
duplicates   the same, and contradictions (fingerprints); near: nearly the same
tokens       counting, as the vendors and the models count     spread   how counts are spread
report       Finding, DatasetReport, `check_file`: what the channel and the console show

hiding       secrets and personal data out of what is shown
fixes        findings a machine can mend -> a new file
convert      examples -> every target (targets, fitting)
roles        which of several files is for training and which is held out
split        what is learnt from, watched and held out (families: what must stay together); leakage between files
sketches     what is kept of an example to tell whether another is nearly the same, however long it is
"""
