"""L2-ARCTIC (Zhao et al., Interspeech 2018): 24 people with six first languages read the ARCTIC prompts.

ROOT/ABA/wav/arctic_a0001.wav
ROOT/ABA/transcript/arctic_a0001.txt
"""

from __future__ import annotations

from pathlib import Path

from rows import Corpus, layout, read_text, require, visible

SPEAKERS = {
    "arabic": "ABA:m SKA:f YBAA:m ZHAA:f",
    "mandarin": "BWC:m LXC:f NCC:f TXHC:m",
    "hindi": "ASI:m RRBI:m SVBI:f TNI:f",
    "korean": "HJK:f HKK:m YDCK:f YKWK:m",
    "spanish": "EBVS:m ERMS:m MBMPS:f NJS:f",
    "vietnamese": "HQTV:m PNV:f THV:f TLV:m",
}
"""First language and gender of each speaker, as its documentation lists them."""

KNOWN = {
    name: (accent, gender)
    for accent, people in SPEAKERS.items()
    for name, gender in (person.split(":") for person in people.split())
}


@layout("l2arctic")
def parse(root: Path) -> Corpus:
    """The read sentences; the spontaneous `suitcase_corpus` is left out."""
    corpus = Corpus()
    for folder in sorted(path.parent for path in visible(root, "wav") if path.is_dir()):
        if folder.name == "suitcase_corpus":
            continue
        accent, gender = KNOWN.get(folder.name, ("", ""))
        for audio in visible(folder / "wav", "*.wav"):
            text = read_text(folder / "transcript" / f"{audio.stem}.txt")
            corpus.add(audio, text, folder.name, accent=accent, gender=gender, prompt=audio.stem)
    return require(corpus, root, "folders SPEAKER/wav with SPEAKER/transcript")
