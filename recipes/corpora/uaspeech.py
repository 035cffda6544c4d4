"""UA-Speech (Kim et al., Interspeech 2008): isolated words by people with cerebral palsy, and controls.

    ROOT/audio/M04/M04_B1_CW12_M5.wav    speaker, block, word, microphone; audio/original/M04/... in later releases
    ROOT/mlf/M04/M04_word.mlf            what each word is

Blocks 1 and 3 are for learning and block 2 for testing, as everybody does; 155 words are in all blocks, the
uncommon ones (UW) differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from rows import Corpus, layout, read_text, require

MICROPHONE = "M5"
NAME = re.compile(r"(C?[FM]\d+)_(B\d)_([A-Z]+\d*)_(M\d)")


def words(root: Path) -> dict[str, str]:
    """The words by file name, from all `*_word.mlf` (HTK's master label files)."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*_word.mlf")):
        name = ""
        for line in (read_text(path) or "").splitlines():
            if line.startswith('"'):
                name = line.strip('"').split("/")[-1].rsplit(".", 1)[0]
            elif name and line not in (".", "#!MLF!#") and line.strip():
                found[name] = line.split()[2 if len(line.split()) > 2 else -1]
    return found


@layout("uaspeech")
def parse(root: Path) -> Corpus:
    """The words of one microphone, with the parts of the usual split for people with dysarthria."""
    corpus, said = Corpus(), words(root)
    for audio in sorted(root.rglob("*.wav")):
        name = NAME.fullmatch(audio.stem)
        if name is None or name[4] != MICROPHONE:
            corpus.skipped["another microphone or name"] += 1
            continue
        speaker, block, word = name[1], name[2], name[3]
        control = speaker.startswith("C")
        part = "train" if control else "test" if block == "B2" else "enroll"
        if control and block == "B2":
            part = ""  # the words of the test block are not learnt from others either
        corpus.add(
            audio,
            said.get(audio.stem),
            speaker,
            gender=speaker.removeprefix("C")[0].lower(),
            group="control" if control else "dysarthria",
            block=block,
            kind="L" if re.fullmatch("L[A-Z]", word) else re.sub(r"\d", "", word),
            part=part,
        )
    return require(corpus, root, f"files audio/M04/M04_B1_CW12_{MICROPHONE}.wav with mlf/M04/M04_word.mlf")
