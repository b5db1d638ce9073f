"""How good an answer is: the one measure that evaluations compare by, and that a model is rewarded with (GRPO).

shape       what kind of answers the references are: a list, a record, a label, a number, text
metrics     one answer against its reference, by shape
reference   which of an example's fields is its reference

Nothing of a dataset or of an answer is executed: texts are parsed as JSON or numbers, and compared.
"""
