"""One room a vendor behind four small protocols (`base`); nothing here imports bot or workers.

base            training, chat, hosting and keeping models: the protocols, and the values they exchange
capabilities    what each provider can do, as data           credentials   what each must be told
errors          the error tree; every vendor exception is translated into it in the vendor's room
registry        provider names -> rooms, imported only when asked for
prices          what vendors ask, dated, with the source     retirements   what ends when, likewise
openai/         OpenAI                                       azure_openai/, azure_ml/   Azure's two
_openai_api/    what OpenAI and Azure OpenAI share           _azure/       what Azure's two share
_openai_compatible  chat with any server of that protocol
stub            a deterministic provider for tests and for trying the flow
autotrain/      Hugging Face's AutoTrain on this machine, with libraries of its own
local/          training and serving on this machine: the only place that knows torch
"""
