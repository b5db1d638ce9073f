"""The HTTP face: endpoints for programs, and how this installation is doing.

app              the routes, and the process that serves them
access           which key asks, and when it was last used
completions      answers, whole or as a stream of events
openai_protocol  requests and answers in OpenAI's shapes
generation       answers drawn from providers by a bounded number of threads
edge             what surrounds each request: its id, its figures, and what is said when we are at fault
health, metrics  whether it lives, whether it is ready, and counts
"""
