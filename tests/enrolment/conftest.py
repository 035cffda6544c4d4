"""The recogniser of tones, people whose tones are shifted, and examples without files."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import soundfile
import torch
from tones import LETTERS, RATE, WORDS, make_tone_model, record_person, spoken

from asradapt.decoding import Decoder, DecoderOptions
from asradapt.enrolment.examples import Example
from asradapt.language import read_arpa
from asradapt.models.source import ConformerSource
from asradapt.recordings import duplicates
from asradapt.store import SpeakerStore
from asradapt.types import Utterance


@pytest.fixture(scope="session")
def tone_model() -> ConformerSource:
    """Writes the letter whose band is loud."""
    return make_tone_model()


@pytest.fixture(scope="session")
def speak(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Utterance]]:
    """Records a person: `speak("ann", shift=1.0, utterances=12)`; every text is another one."""
    return lambda name, **how: record_person(tmp_path_factory.mktemp("tones"), name, **how)


@pytest.fixture(scope="session")
def examples(tone_model) -> Callable[..., tuple[Example, ...]]:
    """Makes examples for the tone model without files: `examples(5, shift=1.0, seed=2)`."""

    def make(count: int, *, shift: float = 0.5, seed: int = 0, texts: Sequence[str] = ()) -> tuple[Example, ...]:
        chance, found = random.Random(seed), []
        for number in range(count):
            text = texts[number] if texts else "".join(chance.choices(LETTERS[1:], k=chance.randint(1, 6)))
            waveform = spoken(text, shift, 100 * seed + number)
            features, _ = tone_model.prepare(waveform[None], torch.tensor([len(waveform)]))
            target = torch.tensor([tone_model.tokens.index(c) for c in text])
            path = Path(f"{seed}-{number}.wav")
            found.append(Example(Utterance(path, text), features[0], text, target, len(waveform) / RATE))
        return tuple(found)

    return make


@pytest.fixture
def store(tmp_path: Path) -> SpeakerStore:
    """A store that nobody has written to."""
    return SpeakerStore(tmp_path / "store")


@pytest.fixture(scope="session")
def teacher(tone_model: ConformerSource, tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    """Beam search with a language model that knows the six words."""
    path = tmp_path_factory.mktemp("language") / "words.arpa"
    grams = ["-99\t<s>", "-1.0\t</s>", "-9.0\t<unk>", *(f"-0.8\t{word}" for word in WORDS)]
    path.write_text("\n".join(["\\data\\", f"ngram 1={len(grams)}", "", "\\1-grams:", *grams, "", "\\end\\", ""]))
    return Decoder(tone_model.tokens, tone_model.frame_seconds, read_arpa(path), DecoderOptions())


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int, int], list[Utterance]]:
    """Records somebody whom the source does not know: `record("ann", 6, 8)`, six with texts and eight without."""

    def make(name: str, told: int, untold: int) -> list[Utterance]:
        folder, chance, found = tmp_path_factory.mktemp("people"), random.Random(name), []
        pairs = [f"{one} {other}" for one in WORDS for other in WORDS]
        for number, text in enumerate(chance.sample(pairs, told + untold)):
            path = folder / f"{name}{number}.wav"
            soundfile.write(path, spoken(text, 1.0, number).numpy(), RATE)
            found.append(Utterance(path, text if number < told else None, name, fields={"said": text}))
        return found

    return make


@pytest.fixture(scope="session")
def ann(record: Callable[[str, int, int], list[Utterance]]) -> list[Utterance]:
    """Six recordings with texts and eight without."""
    return record("ann", 6, 8)


@pytest.fixture(scope="module")
def alike() -> Iterator[None]:
    """The tones of a word sound alike wherever it is said, and are no copies for that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "SAME", 0.8)
        yield
