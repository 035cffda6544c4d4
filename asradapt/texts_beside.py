"""Which text file belongs to which recording of a folder: that of the same name, as people's programs write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unicodedata import normalize

from asradapt.audio import audio_files
from asradapt.errors import AudioError

TEXT = ".txt"


class TextsBeside:
    """The texts of folders, each folder read once and only where a text is not found by its exact name."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[Path]]] = {}

    def of(self, audio: Path) -> Path:
        """The text of a recording: of exactly its name, else the only one whose name looks the same.

        That is in capitals or not, with composed accents or not, and with the ending twice, as where a program
        hides endings. What has exactly the name of another recording belongs to that one. The exact name where
        there is none.
        """
        exact = audio.with_suffix(TEXT)
        try:
            if exact.exists():
                return exact
        except OSError:  # a name that is too long
            return exact
        if audio.parent not in self._folders:
            self._folders[audio.parent] = _free_texts(audio.parent)
        found = self._folders[audio.parent].get(_plain(audio.stem), [])
        return found[0] if len(found) == 1 else exact

    def alone_in(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """A warning of texts in folders, and those below, that no recording beside them has the name of."""
        alone: list[Path] = []
        for folder in (path for path in paths if path.is_dir()):
            spoken = {(audio.parent, _plain(audio.stem)) for audio in _audio_in(folder)}
            texts = sorted(path for path in folder.rglob("*") if _is_text(path.relative_to(folder)))
            alone += [text for text in texts if (text.parent, _plain(_stem(text))) not in spoken]
        if not alone:
            return ()
        more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
        return (f"{alone[0]}{more}: a text without a recording of its name beside it",)


def _free_texts(folder: Path) -> dict[str, list[Path]]:
    """The texts of a folder by what their names look like, without those of exactly a recording's name."""
    taken = {audio.with_suffix(TEXT) for audio in _audio_in(folder)}
    found: dict[str, list[Path]] = {}
    try:
        there = sorted(folder.iterdir())
    except OSError:  # a folder that we may not look into
        return found
    for path in there:
        if _is_text(path.relative_to(folder)) and path not in taken:
            found.setdefault(_plain(_stem(path)), []).append(path)
    return found


def _audio_in(folder: Path) -> list[Path]:
    try:
        return audio_files(folder)
    except AudioError:
        return []


def _is_text(relative: Path) -> bool:
    return relative.suffix.lower() == TEXT and not any(part.startswith(".") for part in relative.parts)


def _stem(path: Path) -> str:
    return path.stem[: -len(TEXT)] if path.stem.lower().endswith(TEXT) else path.stem


def _plain(name: str) -> str:
    return normalize("NFC", name).casefold()
