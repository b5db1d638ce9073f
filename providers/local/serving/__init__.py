"""The model server: answers for base models and tuned ones over HTTP, as OpenAI does.

__main__      the process
openai_api    requests and answers
engine        the thread that answers: takes questions, decodes them in batches, gives the answers away
fair_queue    whose question is next
resident      which models are in memory; memory: how much there is, and how much a model takes
weights       one model in memory, with its adapters
adapters      a tuned model's difference from its base model; mixing: rows of several ones in one pass
batching      several answers decoded together; growing_cache: what they remember
prefixes      what was read before: earlier turns of a conversation, system prompts
catalogue     which models there are
generation    a question on its way, and what comes back; detokenise: tokens into text
"""
