"""What each provider can do, as data: read by forms and plans without a vendor's SDK and without credentials.

Ranges of OpenAI's knobs are those of its published API description; Azure's have no "auto" on the wire, there it
means that the value is left out.
"""

from collections.abc import Mapping
from dataclasses import replace

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
_SFT, _GRPO = frozenset({Method.SFT}), frozenset({Method.GRPO})
_STAYS_CLOSE = frozenset({Method.DPO, Method.KTO, Method.ORPO})
_LOCAL = (
    Knob("epochs", "Epochs", 3, 1, 50, whole=True, hint="how often it reads every example"),
    Knob("learning_rate", "Learning rate", 5e-4, 1e-7, 1e-1),
    Knob("batch_size", "Examples a step", 4, 1, 256, True, True, hint="“auto”: as many as the memory holds"),
    Knob("lora_r", "LoRA rank", 16, 1, 512, whole=True),
    Knob(
        "tuning",
        "What is trained",
        "lora",
        choices=("lora", "dora", "rslora", "full"),
        hint="an adapter, or with “full” all weights",
        advanced=True,
    ),
    Knob("lora_alpha", "LoRA alpha", AUTO, 1, 1024, True, True, hint="“auto”: twice the rank", advanced=True),
    Knob("lora_dropout", "LoRA dropout", 0.0, 0, 0.9, advanced=True),
    Knob("target_modules", "Layers to adapt", "all-linear", choices=("all-linear", "attention"), advanced=True),
    Knob(
        "quantization",
        "Base model in memory",
        "none",
        choices=("none", "nf4", "int8"),
        hint="nf4 (QLoRA) needs a quarter of the memory",
        advanced=True,
    ),
    Knob("gradient_accumulation", "Batches a step", 1, 1, 256, whole=True, advanced=True),
    Knob("max_length", "Longest example", 2048, 32, 131_072, whole=True, hint="tokens", advanced=True),
    Knob(
        "learn",
        "Learn to write",
        "answers",
        choices=("answers", "everything"),
        methods=_SFT,
        hint="“everything”: questions too",
        advanced=True,
    ),
    Knob(
        "packing",
        "Examples together",
        AUTO,
        choices=(AUTO, "off", "packed", "padding-free"),
        methods=_SFT,
        hint="how batches are made without padding",
        advanced=True,
    ),
    Knob(
        "scheduler",
        "Learning rate's course",
        "linear",
        choices=("linear", "cosine", "constant", "constant_with_warmup"),
        advanced=True,
    ),
    Knob("warmup_ratio", "Warm-up", 0.03, 0, 0.9, hint="share of all steps", advanced=True),
    Knob(
        "optimizer",
        "Optimizer",
        "adamw_torch",
        choices=("adamw_torch", "adamw_torch_fused", "adamw_8bit", "adafactor"),
        advanced=True,
    ),
    Knob("weight_decay", "Weight decay", 0.0, 0, 1, advanced=True),
    Knob("max_grad_norm", "Largest gradient", 1.0, 0, 100, hint="0: as large as it is", advanced=True),
    Knob("neftune_noise", "NEFTune noise", 0.0, 0, 100, hint="0: none; 5 is usual", advanced=True),
    Knob("precision", "Precision", AUTO, choices=(AUTO, "bf16", "fp16", "fp32"), advanced=True),
    Knob("attention", "Attention", AUTO, choices=(AUTO, "sdpa", "eager", "flash_attention_2"), advanced=True),
    Knob("kernels", "Fused kernels", AUTO, choices=(AUTO, "liger", "off"), advanced=True),
    Knob(
        "gradient_checkpointing",
        "Compute twice to save memory",
        AUTO,
        choices=(AUTO, "on", "off"),
        hint="gradient checkpointing",
        advanced=True,
    ),
    Knob(
        "eval_steps",
        "Steps between validations",
        AUTO,
        0,
        100_000,
        True,
        True,
        hint="“auto”: one after each epoch",
        advanced=True,
    ),
    Knob(
        "early_stopping",
        "Stop early after",
        0,
        0,
        100,
        whole=True,
        hint="validations without a lower loss; 0: never",
        advanced=True,
    ),
    Knob(
        "beta",
        "Beta",
        0.1,
        0.001,
        2,
        methods=_STAYS_CLOSE,
        hint="DPO, KTO: higher stays closer to the base model; ORPO: the preferences' weight",
        advanced=True,
    ),
    Knob(
        "loss_type",
        "Loss",
        "sigmoid",
        choices=("sigmoid", "ipo", "hinge"),
        methods=frozenset({Method.DPO}),
        advanced=True,
    ),
    Knob("desirable_weight", "Weight of good", 1.0, 0, 100, methods=frozenset({Method.KTO}), advanced=True),
    Knob("undesirable_weight", "Weight of bad", 1.0, 0, 100, methods=frozenset({Method.KTO}), advanced=True),
    Knob("generations", "Answers a prompt", 4, 2, 64, whole=True, methods=_GRPO, advanced=True),
    Knob("max_new_tokens", "Longest answer", 128, 1, 8192, True, methods=_GRPO, hint="tokens", advanced=True),
    Knob("temperature", "Temperature", 1.0, 0.01, 5, methods=_GRPO, hint="of the answers tried", advanced=True),
)
"""Those of `providers.local.training.knobs`, which a test compares; forms allow less than the trainer bears."""
_OF_LOCAL = {one.name: one for one in _LOCAL}
_AUTOTRAIN = (
    _OF_LOCAL["epochs"],
    _OF_LOCAL["learning_rate"],
    replace(_OF_LOCAL["batch_size"], can_auto=False, hint="SFT: blocks of joined examples"),
    _OF_LOCAL["lora_r"],
    _OF_LOCAL["lora_alpha"],
    replace(_OF_LOCAL["lora_dropout"], default=0.05),
    _OF_LOCAL["target_modules"],
    replace(_OF_LOCAL["quantization"], hint="needs an NVIDIA GPU"),
    _OF_LOCAL["gradient_accumulation"],
    replace(_OF_LOCAL["max_length"], default=AUTO, can_auto=True),
    replace(_OF_LOCAL["warmup_ratio"], default=0.1),
    _OF_LOCAL["weight_decay"],
    replace(_OF_LOCAL["max_grad_norm"], hint=""),
    _OF_LOCAL["precision"],
    _OF_LOCAL["optimizer"],
    _OF_LOCAL["scheduler"],
    replace(_OF_LOCAL["beta"], methods=frozenset({Method.DPO}), hint="higher stays closer to the base model"),
)
"""As its own documentation has them; what it always does differently is in `providers.autotrain.job`."""
HOSTING_CAPACITY = Knob(
    "hosting_capacity",
    "Hosting capacity",
    10,
    1,
    5000,
    whole=True,
    hint="thousands of tokens a minute, and 6 questions a minute for each; more are refused, it costs the same",
)
"""At Azure OpenAI, of each deployment: a limit of its rate, taken from the subscription's quota, not what is billed.

Unit and default are those of learn.microsoft.com/azure/ai-services/openai/how-to/quota (of 9 January 2025); 5 million
tokens a minute, for GPT-4.1, are the highest quota that the text of .../azure/ai-foundry/openai/quotas-limits names. A
subscription's own is often less, and Azure's answer decides.
"""
_LOCAL_FORMATS = {
    Method.DPO: "trl-preference",
    Method.ORPO: "trl-preference",
    Method.KTO: "kto",
    Method.GRPO: "openai-rft",
}
_CHAT_FORMATS = {Method.DPO: "openai-preference", Method.RFT: "openai-rft"}

ON_THIS_MACHINE = frozenset({"local", "autotrain"})
"""Providers that train on the queue of this machine: nothing leaves it, and what they have trained is served here."""

CAPABILITIES: Mapping[str, Capabilities] = {
    "local": Capabilities(
        frozenset({Method.SFT, *_LOCAL_FORMATS}),
        "openai-chat",
        can_pause=True,
        knobs=_LOCAL,
        formats=_LOCAL_FORMATS,
        longest_suffix=40,
    ),
    "autotrain": Capabilities(
        _SFT_AND_DPO,
        "openai-chat",
        knobs=_AUTOTRAIN,
        formats=_CHAT_FORMATS,
        longest_suffix=40,
        joins_examples=frozenset({Method.SFT}),
    ),
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
        options=frozenset({"training_tier", HOSTING_CAPACITY.name}),
        longest_suffix=40,
        chats_at_once=2,
    ),
    "azure_ml": Capabilities(
        frozenset({Method.SFT}),
        "openai-chat",
        must_deploy=True,
        base_must_deploy=True,
        knobs=(
            _OF_LOCAL["epochs"],
            Knob("batch_size", "Examples a step on each device", 1, 1, 256, whole=True, advanced=True),
            Knob("learning_rate", "Learning rate", 2e-5, 1e-7, 1e-1, advanced=True),
        ),
        options=frozenset({"instance_types", "job_tier", "model_provider"}),
        longest_suffix=40,
        chats_at_once=4,
    ),
}
