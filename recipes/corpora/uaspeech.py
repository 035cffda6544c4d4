"""UA-Speech (Kim et al., Interspeech 2008): isolated words by people with cerebral palsy, and controls.

    ROOT/audio/M04/M04_B1_CW12_M5.wav    speaker, block, word, microphone
    ROOT/mlf/M04/M04_word.mlf            what each word is

Later releases hold every recording three times: as it was made (audio/original/M04/...), audio/normalized and
audio/noisereduce. The first is taken; another one only where DATA holds nothing else.

Blocks 1 and 3 are for learning and block 2 for testing, as everybody does; 155 words are in all blocks, the
uncommon ones (UW) differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from rows import Corpus, layout, read_text, require, visible

MICROPHONE = "M5"
PROCESSED = ("normalized", "noisereduce", "noisereduced")
NAME = re.compile(r"(C?[FM]\d+)_(B\d)_([A-Z]+\d*)_(M\d)")


def words(root: Path) -> dict[str, str]:
    """The words by file name, from all `*_word.mlf` (HTK's master label files)."""
    found: dict[str, str] = {}
    for path in visible(root, "*_word.mlf"):
        name = ""
        for line in (read_text(path) or "").splitlines():
            if line.startswith('"'):
                name = line.strip('"').split("/")[-1].rsplit(".", 1)[0]
            elif name and line not in (".", "#!MLF!#") and line.strip():
                found[name] = line.split()[2 if len(line.split()) > 2 else -1]
    return found


def one_version(root: Path, files: list[Path]) -> list[Path]:
    """The recordings as they were made; where there are none, those of one processed version."""
    versions = [next((v for v in PROCESSED if v in path.relative_to(root).parts), "") for path in files]
    wanted = next((version for version in ("", *PROCESSED) if version in versions), "")
    return [path for path, version in zip(files, versions, strict=True) if version == wanted]


@layout("uaspeech")
def parse(root: Path) -> Corpus:
    """The words of one microphone, with the parts of the usual split for people with dysarthria."""
    corpus, said = Corpus(), words(root)
    files = visible(root, "*.wav")
    named = [path for path in files if (name := NAME.fullmatch(path.stem)) and name[4] == MICROPHONE]
    recordings = one_version(root, named)
    corpus.leave_out("another microphone or name", len(files) - len(named))
    corpus.leave_out("another version of the same recording", len(named) - len(recordings))
    for audio in recordings:
        speaker, block, word, _ = audio.stem.split("_")
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
