"""What the Slack side is told, from the environment and `.env`."""

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

SLACK_API = "https://slack.com/api/"


class SlackSettings(BaseSettings):
    """Tokens and addresses of one workspace. Without a bot token there is only the local workspace."""

    model_config = SettingsConfigDict(
        env_prefix="FINETUNE_BOT_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True,
        populate_by_name=True,
    )  # fmt: skip

    bot_token: SecretStr = Field(default=SecretStr(""), validation_alias=AliasChoices("SLACK_BOT_TOKEN"))
    app_token: SecretStr = Field(default=SecretStr(""), validation_alias=AliasChoices("SLACK_APP_TOKEN"))
    signing_secret: SecretStr = Field(default=SecretStr(""), validation_alias=AliasChoices("SLACK_SIGNING_SECRET"))
    api_url: str = Field(default=SLACK_API, validation_alias=AliasChoices("SLACK_API_URL"))
    http_host: str = "127.0.0.1"
    """Where signed HTTP is listened to; a reverse proxy in front of it has the certificate."""
    http_port: int = 3001

    @property
    def mode(self) -> Literal["sandbox", "socket", "http"]:
        """How Slack reaches the bot. Socket Mode needs an app token; signed HTTP a signing secret."""
        if not self.bot_token.get_secret_value():
            return "sandbox"
        return "socket" if self.app_token.get_secret_value() else "http"

    @property
    def is_slack(self) -> bool:
        """Whether this is Slack itself, not a workspace of our own."""
        return self.api_url == SLACK_API
