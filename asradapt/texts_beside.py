"""Which text file belongs to which recording of a folder: that of the same name, as people's programs write it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from asradapt.audio import is_audio_name
from asradapt.errors import TextError

TEXT = ".txt"


@dataclass
class Listing:
    """What lies in one folder.

    Attributes:
        spoken: Names of its recordings without their endings.
        files: Names of its recordings with them.
        texts: Its text files by what their names look like.
    """

    spoken: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    texts: dict[str, list[str]] = field(default_factory=dict)


class TextsBeside:
    """The texts of folders; a folder is read once, and only where a text is not found by its exact name."""

    def __init__(self) -> None:
        self._listings: dict[Path, Listing] = {}

    def of(self, audio: Path) -> Path:
        """The text of a recording: of exactly its name, else the only one whose name looks the same.

        That is in capitals or not, with composed accents or not, with the ending twice, as where a program hides
        endings, and with that of the recording before its own (`p1.wav.txt`). What has exactly the name of another
        recording belongs to that one. The exact name where there is none.

        Raises:
            TextError: If several look the same.
        """
        exact = audio.with_suffix(TEXT)
        try:
            if exact.is_file():
                return exact
        except OSError:  # a name that is too long
            return exact
        listing = self.listing(audio.parent)
        alike = listing.texts.get(_plain(audio.stem), []) + listing.texts.get(_plain(audio.name), [])
        same = [name for name in alike if Path(name).stem == audio.stem]  # but for the ending
        found = same or sorted(name for name in alike if Path(name).stem not in listing.spoken)
        if len(found) > 1:
            raise TextError(f"no text: {' and '.join(found)} look alike, call the right one {exact.name}")
        return audio.with_name(found[0]) if found else exact

    def spoken_in(self, folder: Path, stem: str) -> bool:
        """Whether a recording of this name, without its ending, lies in a folder."""
        return stem in self.listing(folder).spoken

    def listing(self, folder: Path) -> Listing:
        """What lies in a folder; nothing where we may not look into it."""
        if folder not in self._listings:
            self._listings[folder] = found = Listing()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        _add(found, entry)
            except OSError:
                pass
        return self._listings[folder]

    def alone_in(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """A warning of texts in folders, and those below, that no recording beside them has the name of."""
        alone: list[Path] = []
        for top in (path for path in paths if path.is_dir()):
            for folder, below, _ in os.walk(top):
                below[:] = sorted(name for name in below if not name.startswith("."))
                listing = self.listing(Path(folder))
                spoken = {_plain(name) for name in listing.spoken | listing.files}
                lost = [name for plain, names in listing.texts.items() if plain not in spoken for name in names]
                alone += [Path(folder) / name for name in sorted(lost)]
        if not alone:
            return ()
        more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
        return (f"{alone[0]}{more}: a text without a recording of its name beside it",)


def _add(listing: Listing, entry: os.DirEntry[str]) -> None:
    name = Path(entry.name)
    if entry.name.startswith(".") or not (is_audio_name(entry.name) or name.suffix.lower() == TEXT):
        return
    if not entry.is_file():
        return
    if is_audio_name(entry.name):
        listing.spoken.add(name.stem)
        listing.files.add(entry.name)
    else:
        stem = name.stem[: -len(TEXT)] if name.stem.lower().endswith(TEXT) else name.stem
        listing.texts.setdefault(_plain(stem), []).append(entry.name)


def _plain(name: str) -> str:
    return normalize("NFC", name).lower()
