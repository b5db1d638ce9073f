"""The domain and the background work: datasets, runs, evaluation, chat, and what carries them out.

settings      what the processes are told, read once at their edge
tables        every SQLModel table; db opens engines and transactions on them
errors        the error tree; each error carries words for a Slack user
run_status    a run's states and the one function that moves it
rights        the one question "may this person do that?"
tasks         durable background work: claim, renew, finish, reap, dispatch
announcements what is to be posted to Slack, in order, exactly once
queues        RQ: connection, signed serialiser, the worker that executes its work-horse
dispatcher    turns due tasks into RQ jobs, again and again until they are claimed
storage       files behind one small protocol over fsspec
dataprep/     files -> checked examples            runs/        plan, cost, the life of a run
evaluation/   base against tuned model             jobs/        the handlers of each kind of task
gateway/      the HTTP face                        chat         answers in a thread
supervisor    starts and restarts the Procfile's processes; bootstrap prepares the machine
"""
