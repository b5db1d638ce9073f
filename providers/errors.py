"""What can go wrong at a provider.

ProviderError
├── NotConfigured        credentials, address or an extra is missing
├── NotAllowed           the vendor refuses this account or this model
├── InvalidRequest       the vendor rejects what was sent; sending it again is useless
├── NotFound             no such job, model or file
├── RateLimited          slow down; `retry_after` seconds if the vendor said so
├── Unavailable          network trouble or a 5xx: try again later
├── SubmitUnknown        a create call whose answer never came: look it up, never resend
├── Withdrawn            nobody wants it any more: nothing was created
└── TrainingFailed       the training itself broke
"""


class ProviderError(Exception):
    """Base of the tree. `user_message` is plain English that a Slack user can act on."""

    retryable = False

    def __init__(self, user_message: str, *, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(user_message if not detail else f"{user_message} ({detail})")
        self.user_message = user_message
        self.detail = detail
        self.retry_after = retry_after


class NotConfigured(ProviderError):
    """Credentials, an address or an installed extra is missing."""


class NotAllowed(ProviderError):
    """The vendor refuses this account or this model."""


class InvalidRequest(ProviderError):
    """The vendor rejects what was sent; sending it again is useless."""


class NotFound(ProviderError):
    """No such job, model or file."""


class RateLimited(ProviderError):
    """Too many requests; `retry_after` in seconds where the vendor said so."""

    retryable = True


class Unavailable(ProviderError):
    """Network trouble or a server error: try again later."""

    retryable = True


class SubmitUnknown(ProviderError):
    """A create call whose answer never came: look it up with `find`, never resend."""


class Withdrawn(ProviderError):
    """Nobody wants it any more: raised by whoever was asked before a create call, and nothing was created."""


class TrainingFailed(ProviderError):
    """The training itself broke; the message says at what and what to do."""
