"""How fast speech may be before it is slowed down: word errors for settings of a source model's pace.

    python tools/pace_report.py SPEECH --work DIR [--model source_en] [--settings none 0.64:0.7 0.68:0.8]

SPEECH holds the corpora, each with manifest.jsonl; `enroll` and `validation` parts are heard, never `test`. A
setting is the share of crowded frames that the model bears and its slowest tempo (`asradapt/pace.py`). Logits are
kept in DIR. Prints Markdown: greedily, with the language model, and the share of recordings that is slowed down.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from asradapt.decoding import Decoder, DecoderOptions
from asradapt.language import EMBEDDED_LANGUAGE, load_language
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.pace import CARD
from decoding_report import TUNED_ON, decode, texts_of
from logits_cache import LogitSet, load

HEARD = (*TUNED_ON, ("fsdd", "enroll"))


def paced(model: SourceModel, setting: str) -> SourceModel:
    """The model with this pace on its card, or without one."""
    model.card = {key: value for key, value in model.card.items() if key != CARD}
    if setting != "none":
        crowded, slowest = map(float, setting.split(":"))
        model.card[CARD] = {"crowded": crowded, "slowest": slowest}
    return model


def slower(chosen: LogitSet, plain: LogitSet) -> float:
    """The share of the recordings that have more frames than without a pace."""
    pairs = zip(chosen.logits, plain.logits, strict=True)
    return sum(len(one) > len(other) for one, other in pairs) / len(plain.logits)


def main() -> None:
    """Hear every set in every setting and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--language", default=EMBEDDED_LANGUAGE)
    parser.add_argument("--settings", nargs="+", default=["none", "0.64:0.7"])
    args = parser.parse_args()
    model, language = load_model(args.model, device="cpu"), load_language(args.language)
    greedy, search = Decoder.of(model), Decoder.of(model, language, DecoderOptions())
    plain = [load(args.speech, *one, paced(model, "none"), args.work) for one in HEARD]
    print("| pace | mean |", " | ".join(chosen.name for chosen in plain), "|")
    print("|---|---|" + "---|" * len(plain))
    for setting in args.settings:
        cells, sums = [], [0.0, 0.0]
        for one, before in zip(HEARD, plain, strict=True):
            chosen = load(args.speech, *one, paced(model, setting), args.work)
            rates = [decode(chosen, texts_of(decoder))[0].wer for decoder in (greedy, search)]
            sums = [total + rate / len(HEARD) for total, rate in zip(sums, rates, strict=True)]
            cells.append(f"{rates[0]:.1%}, {rates[1]:.1%} ({slower(chosen, before):.0%})")
        print(f"| {setting} | {sums[0]:.2%}, {sums[1]:.2%} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
