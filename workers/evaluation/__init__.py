"""Was it worth it? Base and tuned model answer the same held-out examples; what they say is scored.

generate    asks a model for its answers, several at a time, keeping each
shape       what kind of answers the references are: a list, a record, a label, a number, text
metrics     one answer against its reference, by shape
compare     the scores side by side, how sure they are, and the verdict in words
"""
