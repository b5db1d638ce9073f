"""The app manifest: what Slack must know about the app, in one object to paste."""

from typing import Any

from bot.app import PATH

SCOPES = (
    "app_mentions:read", "assistant:write", "channels:history", "channels:read", "chat:write", "commands", "files:read",
    "files:write", "groups:history", "groups:read", "im:history", "im:read", "im:write", "users:read",
)  # fmt: skip
"""What the bot needs: read files and threads where it was invited, write there, and know guests from members."""

EVENTS = ("app_home_opened", "app_mention", "file_shared", "message.channels", "message.groups", "message.im")

SHORTCUTS = (
    {
        "name": "Start fine-tuning",
        "type": "global",
        "callback_id": "start_run",
        "description": "Open the form, filled in with your newest dataset",
    },
    {
        "name": "Use as training data",
        "type": "message",
        "callback_id": "use_thread",
        "description": "Make examples of this thread's questions and answers",
    },
)
"""What can be done from the composer and from a message's menu."""


def manifest(*, socket_mode: bool, url: str = "") -> dict[str, Any]:
    """The manifest, for Socket Mode or for signed HTTP at the public address `url`."""
    address = {} if socket_mode else {"url": f"{url.rstrip('/')}{PATH}"}
    request = {} if socket_mode else {"request_url": f"{url.rstrip('/')}{PATH}"}
    return {
        "display_information": {
            "name": "Finetune Bot",
            "description": "Fine-tune language models without leaving the channel.",
            "background_color": "#2c2d30",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": "Finetune Bot", "always_online": True},
            "agent_view": {"agent_description": "Fine-tunes language models with your team's own data."},
            "slash_commands": [
                {
                    "command": "/finetune",
                    "description": "Fine-tune a model",
                    "usage_hint": "start | status | show 12 | data | cancel 12 | pause 12 | resume 12 | keys | help",
                    "should_escape": False,
                    **address,
                }
            ],
            "shortcuts": [dict(one) for one in SHORTCUTS],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": {"bot_events": list(EVENTS), **request},
            "interactivity": {"is_enabled": True, **request},
            "org_deploy_enabled": False,
            "socket_mode_enabled": socket_mode,
            "token_rotation_enabled": False,
        },
    }
