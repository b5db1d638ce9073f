"""The model server: answers for base models and tuned ones over HTTP, as OpenAI does.

__main__      the process
openai_api    requests and answers
engine        the thread that answers: takes questions, decodes them in batches, gives the answers away
batching      several answers decoded together; growing_cache: what they remember
weights       one base model in memory, with its adapters
catalogue     which models there are
generation    a question on its way, and what comes back; detokenise: tokens into text
"""
