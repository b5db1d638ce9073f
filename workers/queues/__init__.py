"""RQ as a doorbell: a job says only "task 12, attempt 1 is waiting"; the database knows the rest.

connection  the queues' names and connections that are patient or quick to give up
signing     a JSON serialiser that refuses what this installation did not sign
job         the one job that there is, and nothing else a hash in Redis may ask for
bell        rings after a commit; never raises, never blocks for long
worker      takes jobs off one queue through any outage, until told to stop
horse       a child process that carries out tasks one at a time; its own death and its parent's are seen
executing   the worker that has such a horse: cpu, gpu      threaded    the worker with threads instead: slack, cloud
"""
