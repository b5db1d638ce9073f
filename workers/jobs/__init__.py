"""What carries out tasks.

kinds      every kind of task: its queue, its handler, and what happens when it is given up
runner     claims a task, keeps its lease, calls the handler, and notes how it ended
dataset    download -> checked dataset       training    local and remote runs       evaluation    the verdict
"""
