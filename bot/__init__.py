"""Everything Slack, and the console. It holds no rule about datasets, money or training.

cli, __main__   the commands of `finetune-bot`         launch, demo   a whole installation on this machine
app             the process that listens               notifier       the process that posts
middleware      who asks, and what they see of errors  command_line   the words after /finetune
listeners/      record, ack, call, reply               blocks/        what people see, as pure functions
deliver         announcements -> Slack messages        stream         a model's answer, as it is written
downloads       Slack's files -> storage               escape         untrusted text, made harmless
sandbox/        a Slack workspace on this machine, with a page in the browser
"""
