"""A Slack workspace on this machine, for people without one and for every test.

The bot runs against it unmodified, pointed here by SLACK_API_URL alone.

server.py             Sandbox: all addresses on one port
hub.py                one workspace with its parts; workspace.py its state, presentation.py Slack's objects
web_api.py            the bot's calls; methods_*.py the methods, arguments.py and content.py what they are given
block_kit.py          what Slack would refuse, by the table in block_kit_schema.py
delivery.py           to the bot: socket_mode.py or signed_http.py
events.py             what is told; interactions.py what is asked, states.py the controls' values
invitations.py        /invite, the one command of Slack's own
people.py             what people do, over HTTP; live.py what they see; page/ in a browser, driver.py from Python
faults.py, rates.py   what goes wrong on demand, and for being hasty
journal.py            everything that went over the wire
"""

from bot.sandbox.server import Sandbox

__all__ = ["Sandbox"]
