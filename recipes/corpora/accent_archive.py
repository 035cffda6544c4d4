"""The Speech Accent Archive (Weinberger, George Mason University), in the layout of its widespread table.

    ROOT/speakers_all.csv    age, birthplace, filename, native_language, sex, country, file_missing? ...
    ROOT/reading-passage.txt
    ROOT/recordings/recordings/afrikaans1.mp3    or ROOT/recordings/afrikaans1.mp3

Everybody reads the same paragraph once, so nobody can be enrolled and tested: all is the part `test`, for the
source model's fairness between first languages. Never with a language model that has seen the paragraph. What a
synthesiser said is left out.
"""

from __future__ import annotations

from pathlib import Path

from rows import Corpus, layout, read_table, read_text, require, years


@layout("speech_accent_archive")
def parse(root: Path) -> Corpus:
    """One recording a person."""
    corpus, table = Corpus(), root / "speakers_all.csv"
    passage = read_text(root / "reading-passage.txt")
    if not table.is_file() or not passage:
        return require(corpus, root, "speakers_all.csv with reading-passage.txt")
    folders = [root / "recordings" / "recordings", root / "recordings"]
    for row in read_table(table, ("filename",)):
        name, language = row["filename"].strip(), row.get("native_language", "").strip().lower()
        if not name or language == "synthesized":
            corpus.skipped["no person" if name else "no file name"] += 1
            continue
        audio = next((f / f"{name}.mp3" for f in folders if (f / f"{name}.mp3").is_file()), folders[0] / name)
        corpus.add(
            audio,
            passage,
            name,
            age=years(row.get("age")),
            gender=row.get("sex", "").strip()[:1].lower(),  # the table also has `famale`
            accent=language,
            country=row.get("country", ""),
            part="test",
        )
    return require(corpus, root, "recordings of speakers_all.csv")
