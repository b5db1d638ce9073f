"""Tuned models that a vendor hosts for us and bills by the hour: leased, and never left behind.

estimate   what hosting will cost, for a plan and for the buttons
owed       a comparison that could not be made, and is when the model is deployed again
possible   whether a workspace's credentials suffice to host at all
models     a hosted model's life: its row is made before the vendor is asked, and ends when the vendor has it no more
for_runs   what runs ask: begin after training, the names to ask, the end of an evaluation
serving    which name reaches an endpoint's model now, and when it was last asked
leases     time: warnings, an hour more for what is in use, the end
people     the buttons: keep, delete now, deploy again, host in a tier that the vendor does not end
names      what a deployment is called, by which it is known as ours
strays     deployments of ours that nobody wants any more, found at the vendor and ended

What speaks to the vendors is `workers.jobs.hosting`.
"""

from workers.hosting.estimate import HostingPlan, hosting_estimate  # isort: skip -- plans need it, and the rest needs plans
from workers.hosting.for_runs import begin, chat_names, compared, evaluated
from workers.hosting.leases import tell_asleep, tend
from workers.hosting.models import BILLED, stop
from workers.hosting.owed import is_owed, unmade
from workers.hosting.owed import words as owed_words
from workers.hosting.owed import words_of as owed_by
from workers.hosting.people import end, host_longer, keep, longer_tier, shown, wake
from workers.hosting.serving import doubt, hosted_for, name_now, used

__all__ = [
    "BILLED",
    "HostingPlan",
    "begin",
    "chat_names",
    "compared",
    "doubt",
    "end",
    "evaluated",
    "host_longer",
    "hosted_for",
    "hosting_estimate",
    "is_owed",
    "keep",
    "longer_tier",
    "name_now",
    "owed_by",
    "owed_words",
    "shown",
    "stop",
    "tell_asleep",
    "tend",
    "unmade",
    "used",
    "wake",
]
