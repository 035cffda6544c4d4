"""TORGO (Rudzicz et al., LREC 2012): eight people with dysarthria and seven without.

ROOT/F/F01/Session1/wav_headMic/0001.wav     or wav_arrayMic; the folder F, FC, M, MC may be missing
ROOT/F/F01/Session1/prompts/0001.txt
"""

from __future__ import annotations

import re
from pathlib import Path

from rows import Corpus, layout, read_text, require, visible

MICROPHONES = ("wav_headMic", "wav_arrayMic")
"""The head microphone where a session has recordings of it."""


def clean(prompt: str | None) -> str | None:
    """What was to be said; None for pictures to be described, actions in brackets, and `xxx`.

    `tear [as in tear up that paper]` is read as `tear`. A few prompts hold the arrow keys of who typed them
    (escape codes): what they meant to say cannot be told.
    """
    picture = prompt and re.search(r"\.(jpe?g|png|gif|bmp)\b", prompt, re.IGNORECASE)
    if prompt is None or picture or "xxx" in prompt.lower() or "\x1b" in prompt:
        return None
    return re.sub(r"\[[^\]]*\]?", " ", prompt).strip() or None


@layout("torgo")
def parse(root: Path) -> Corpus:
    """Prompts that are words or sentences; one microphone a session."""
    corpus = Corpus()
    for session in (path for path in visible(root, "Session*") if path.is_dir()):
        speaker = session.parent.name
        folder = next((session / name for name in MICROPHONES if visible(session / name, "*.wav")), None)
        if folder is None or not re.fullmatch(r"[FM]C?\d\d", speaker):
            corpus.skipped["no microphone or unknown speaker"] += 1
            continue
        group = "control" if "C" in speaker else "dysarthria"
        for audio in visible(folder, "*.wav"):
            text = clean(read_text(session / "prompts" / f"{audio.stem}.txt"))
            corpus.add(
                audio, text, speaker, gender=speaker[0].lower(), group=group, session=session.name, mic=folder.name
            )
    return require(corpus, root, "folders SPEAKER/Session1/wav_headMic with prompts")
