"""What each provider can do, as data: read by forms and plans without a vendor's SDK and without credentials.

Ranges of OpenAI's knobs are those of its published API description; Azure's have no "auto" on the wire, there it
means that the value is left out.
"""

from collections.abc import Mapping

from providers.base import AUTO, Capabilities, Knob, Method

_SFT_AND_DPO = frozenset({Method.SFT, Method.DPO})
_RFT = frozenset({Method.RFT})

_EPOCHS = Knob("epochs", "Epochs", AUTO, 1, 50, whole=True, can_auto=True, hint="how often it reads every example")
_BATCH = Knob("batch_size", "Examples a step", AUTO, 1, 256, whole=True, can_auto=True, advanced=True)
_MULTIPLIER = Knob(
    "learning_rate_multiplier",
    "Learning rate multiplier",
    AUTO,
    0.0001,
    10,
    can_auto=True,
    hint="of the vendor's own rate: 0.02 to 0.2 learns gently",
    advanced=True,
)
_BETA = Knob(
    "beta",
    "Beta",
    AUTO,
    0.001,
    2,
    can_auto=True,
    methods=frozenset({Method.DPO}),
    hint="higher stays closer to the base model",
    advanced=True,
)
_REINFORCEMENT = (
    Knob("reasoning_effort", "Reasoning effort", "default", choices=("default", "low", "medium", "high"), methods=_RFT),
    Knob("compute_multiplier", "Compute multiplier", AUTO, 0.0001, 10, can_auto=True, methods=_RFT, advanced=True),
    Knob("eval_interval", "Steps between evaluations", AUTO, 1, 10_000, True, True, methods=_RFT, advanced=True),
    Knob("eval_samples", "Answers a prompt in them", AUTO, 1, 100, True, True, methods=_RFT, advanced=True),
)
_LOCAL = (
    Knob("epochs", "Epochs", 3, 1, 50, whole=True, hint="how often it reads every example"),
    Knob("learning_rate", "Learning rate", 5e-4, 1e-7, 1e-1),
    Knob("batch_size", "Examples a step", 4, 1, 256, whole=True),
    Knob("lora_r", "LoRA rank", 16, 1, 512, whole=True),
)
_CHAT_FORMATS = {Method.DPO: "openai-preference", Method.RFT: "openai-rft"}

CAPABILITIES: Mapping[str, Capabilities] = {
    "local": Capabilities(frozenset({Method.SFT}), "openai-chat", can_pause=True, knobs=_LOCAL, longest_suffix=40),
    "stub": Capabilities(frozenset(Method), "openai-chat", can_pause=True, knobs=_LOCAL),
    "openai": Capabilities(
        _SFT_AND_DPO | _RFT,
        "openai-chat",
        can_pause=True,
        knobs=(_EPOCHS, _BATCH, _MULTIPLIER, _BETA, *_REINFORCEMENT),
        formats=_CHAT_FORMATS,
        options=frozenset({"grader", "response_format", "integrations", "metadata"}),
    ),
    "azure_openai": Capabilities(
        _SFT_AND_DPO,
        "openai-chat",
        can_pause=True,
        must_deploy=True,
        base_must_deploy=True,
        knobs=(_EPOCHS, _BATCH, _MULTIPLIER, _BETA),
        formats=_CHAT_FORMATS,
        options=frozenset({"training_tier"}),
        longest_suffix=40,
        chats_at_once=2,
    ),
    "azure_ml": Capabilities(
        frozenset({Method.SFT}),
        "openai-chat",
        must_deploy=True,
        base_must_deploy=True,
        knobs=(
            Knob("epochs", "Epochs", 3, 1, 50, whole=True, hint="how often it reads every example"),
            Knob("batch_size", "Examples a step on each device", 1, 1, 256, whole=True, advanced=True),
            Knob("learning_rate", "Learning rate", 2e-5, 1e-7, 1e-1, advanced=True),
        ),
        options=frozenset({"instance_types", "job_tier", "model_provider"}),
        longest_suffix=40,
        chats_at_once=4,
    ),
}
