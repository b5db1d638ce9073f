"""Was it worth it? Base and tuned model answer the same held-out examples; what they say is scored.

generate    asks a model for its answers, several at a time, keeping each
compare     the scores side by side, how sure they are, and the verdict in words
reference   what an example's answer is compared with
preferences whether the tuned model holds the wanted answers likelier than its base did

What an answer is worth is `providers.scoring`, which reinforcement on this machine uses as well.
"""
