"""The real files: no false error on the valid ones, and few warnings that a person would not agree with."""

from collections import Counter

import pytest

from workers.dataprep import formats, judge, source
from workers.dataprep.checks import PRIVATE_CHECKS, Severity, mojibake, personal, secrets
from workers.dataprep.checks.whole import Tallies

WARNINGS = {
    "axolotl_missing_turns.json": {},
    "azure_tutorial_training_set.jsonl": {},
    "azureml_prompt_completion.jsonl": {},
    "cookbook_ag_news.csv": {},
    "cookbook_drone_tools.jsonl": {},
    "cookbook_toy_chat.jsonl": {"missing_system_message": 1, "missing_user_message": 1},
    "datajuicer_demo.parquet": {},
    "datajuicer_demo.tsv": {},
    "fastchat_sharegpt.json": {},
    "foundry_chartqa_vision.jsonl": {"missing_system_message": 100},
    "foundry_gsm8k_train.jsonl": {},
    "foundry_gsm8k_validation.jsonl": {},
    "foundry_orca_dpo_validation.jsonl": {"mojibake": 3, "cut_off_answer": 1},
    "foundry_rft_countdown.jsonl": {"missing_system_message": 100},
    "foundry_stock_toolcall.jsonl": {},
    "llamafactory_alpaca_en.json": {"personal_data": 3, "cut_off_answer": 5},
    "llamafactory_glaive_toolcall_en.json": {"personal_data": 14, "secret": 14, "cut_off_answer": 1},
    "llamafactory_kto_en.json": {"missing_system_message": 300, "mojibake": 2, "cut_off_answer": 3},
}
"""What is found, each seen to be there: garbled names, made-up but plausible passwords, answers without an end."""


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_found_in_a_real_file(data, name):
    errors: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    tallies = Tallies()
    with source.opened(data / name) as opened:
        detected = formats.detect(opened)
        for line, raw in formats.lines(opened):
            judged = judge.line(raw, detected, line)
            if judged.example is None:
                assert not raw.strip()
                continue
            founds = list(judged.founds) + [one for check in PRIVATE_CHECKS for one in check(judged.example)]
            for found in founds:
                (errors if found.severity is Severity.ERROR else warnings)[found.check] += 1
            for scanner, check in ((secrets, "secret"), (personal, "personal_data"), (mojibake, "mojibake")):
                assert scanner.may_have(raw) or check not in {one.check for one in founds}
            tallies.add(line, judged.example)
    for counted in tallies.findings(detected.format.method):
        warnings[counted.check] += counted.count
    assert errors == ({"empty_turn": 1} if name == "axolotl_missing_turns.json" else {})
    assert warnings == WARNINGS[name]
