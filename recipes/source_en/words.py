"""Lines of one or two frequent words of a text, and strings of digits, for the simulator.

    python recipes/source_en/words.py --text TEXT/tatoeba.txt --lines 4000 > WORK/words.txt

Sentences alone do not teach a model what one short word between silences sounds like. (Single digits are in
digits.txt beside this file.)
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from pathlib import Path

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STRINGS = 0.3  # share of digit strings; the rest are frequent words


def lines(words: list[str], count: int, seed: int) -> list[str]:
    """`count` lines; a word's chance falls with the square root of its rank."""
    rng = random.Random(seed)
    weights = [(rank + 1) ** -0.5 for rank in range(len(words))]
    made = []
    for _ in range(count):
        if rng.random() < STRINGS:
            made.append(" ".join(rng.choices(DIGITS, k=rng.randint(2, 5))))
        else:
            made.append(" ".join(rng.choices(words, weights, k=rng.choice((1, 1, 1, 2)))))
    return made


def main() -> None:
    """Count the words of the texts and print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="one sentence a line")
    parser.add_argument("--lines", type=int, default=6000)
    parser.add_argument("--vocabulary", type=int, default=4000, help="most frequent words that are used")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    counts: Counter[str] = Counter()
    for path in args.text:
        if not path.is_file():
            raise SystemExit(f"{path} is not a file")
        counts.update(re.findall(r"[a-z']+", path.read_text(encoding="utf-8").lower()))
    words = [word for word, _ in counts.most_common(args.vocabulary) if len(word) > 1 or word in "ai"]
    if not words:
        raise SystemExit("no word in the texts")
    print("\n".join(lines(words, args.lines, args.seed)))


if __name__ == "__main__":
    main()
