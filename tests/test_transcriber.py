from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from own_models import make_model
from samples import random_state, store_people, store_speaker

from asradapt.adaptation.mixed import IDENTITY, KeptMembers
from asradapt.decoding import Decoder, DecoderOptions, Heard, Word, unwritable
from asradapt.enrollees import NOBODY
from asradapt.errors import DamagedSpeaker, InputError, SourceMismatch, StoreError, UnknownName
from asradapt.models.base import SourceModel
from asradapt.store import SpeakerStore
from asradapt.test_time import EachOptions
from asradapt.transcriber import Transcriber
from asradapt.transcript import Loaded, TranscriberOptions, Transcript, Window
from asradapt.types import Utterance

# Names that begin alike, two speakers of one method, two that change all weights, one with the source.
METHODS = {
    "ann": "affine+lowrank",
    "anna": "affine",
    "annabel": "affine",
    "bob": "lowrank",
    "cleo": "input",
    "dora": "encoder",
    "emil": "encoder",
    "finn": "head",
    "gwen": "bottleneck",
    "hugo": IDENTITY,
}
STRANGERS = ("nobody", None)
DEMO = Path(__file__).parents[1] / "data" / "demo" / "audio"


@pytest.fixture
def store(tmp_path, model):
    return store_people(tmp_path / "store", model, METHODS)


@pytest.fixture
def record_clip(tmp_path, babble):
    """Writes a clip and says that `speaker` speaks in it."""

    def record(speaker: str | None, seed: int, seconds: float = 0.8) -> Utterance:
        path = tmp_path / f"{speaker}-{seed}.wav"
        soundfile.write(path, babble(seconds, seed).numpy(), 16_000)
        return Utterance(path, speaker=speaker)

    return record


@pytest.fixture
def clips(model, record_clip):
    """Two clips of different lengths of everybody, mixed; speech where the model understands any."""
    people = [*METHODS, *STRANGERS] * 2
    if model.name == "source_en":
        return [Utterance(path, speaker=name) for path, name in zip(sorted(DEMO.iterdir()), people, strict=False)]
    return [record_clip(speaker, seed, 0.4 + 0.07 * (7 * seed % 12)) for seed, speaker in enumerate(people)]


def texts(transcriber: Transcriber, utterances: list[Utterance], **options: bool) -> list[tuple[Path, str]]:
    found = [item for item in transcriber.transcribe(utterances, **options) if isinstance(item, Transcript)]
    return [(item.utterance.audio, item.text) for item in found]


def transcriber(model: SourceModel, store: SpeakerStore | None, **options: float) -> Transcriber:
    return Transcriber(model, store, TranscriberOptions(**options))


@pytest.fixture
def serial(model, store, clips):
    """Everybody alone, clip by clip."""
    one_by_one = transcriber(model, store, batch_size=1)
    return dict(
        pair
        for speaker in dict.fromkeys(clip.speaker for clip in clips)
        for pair in texts(one_by_one, [clip for clip in clips if clip.speaker == speaker])
    )


def test_mixed_speakers_equal_speaker_by_speaker_at_any_batch_size_and_order(model, store, clips, serial):
    shuffled = random.Random(0).sample(clips, len(clips))
    for size, order in [(1, shuffled), (7, clips), (7, clips[::-1]), (32, clips), (32, shuffled)]:
        mixed = texts(transcriber(model, store, batch_size=size), order)
        assert mixed == [(clip.audio, serial[clip.audio]) for clip in order], f"batch size {size}"
    assert len(set(serial.values())) > len(clips) // 2


@pytest.mark.parametrize("model", ["tiny", "other"], indirect=True)
def test_adaptations_change_what_is_heard_and_only_for_their_speaker(model, store, clips, serial):
    source = dict(texts(transcriber(model, None), clips))
    changed = {clip.speaker for clip in clips if source[clip.audio] != serial[clip.audio]}
    assert changed == {speaker for speaker, method in METHODS.items() if method != IDENTITY}


def test_whoever_has_no_adaptation_is_heard_as_by_the_source_alone_in_any_company(model, store, clips):
    mixed, source = (dict(texts(transcriber(model, who), clips)) for who in (store, None))  # one batch for all
    unadapted = {*STRANGERS, *(speaker for speaker, method in METHODS.items() if method == IDENTITY)}
    same = [clip for clip in clips if clip.speaker in unadapted]
    assert len(same) == 2 * len(unadapted)
    assert [mixed[clip.audio] for clip in same] == [source[clip.audio] for clip in same]
    assert any(mixed[clip.audio] != source[clip.audio] for clip in clips)


def test_source_only_ignores_all_adaptations(model, store, clips):
    assert texts(transcriber(model, store), clips, source_only=True) == texts(transcriber(model, None), clips)


@pytest.fixture
def tiny(tiny_model):
    return tiny_model(kernel=5)


def test_windows_bound_what_is_read_at_once_and_change_nothing(tiny, clips):
    whole, window = transcriber(tiny, None), transcriber(tiny, None, window_seconds=2.0)
    sizes = [sum(one.seconds for one in window.loaded) for window in window.windows(clips)]
    assert len(sizes) > 3
    assert max(sizes) < 2.0 + max(soundfile.info(clip.audio).duration for clip in clips)
    assert texts(window, clips) == texts(whole, clips)


def test_a_long_recording_is_cut_into_bounded_pieces_and_joined(tiny, record_clip, tmp_path):
    long = record_clip(None, 1, 31.0)
    cutting = transcriber(tiny, None, segment_seconds=5.0, detect_voice=False)
    ((loaded,),) = [window.loaded for window in cutting.windows([long])]
    assert max(len(piece) for piece in loaded.pieces) <= 5 * 16_000
    assert sum(len(piece) for piece in loaded.pieces) == 31 * 16_000
    pieces = []
    for number, piece in enumerate(loaded.pieces):
        soundfile.write(tmp_path / f"{number}.wav", piece, 16_000, subtype="FLOAT")
        pieces.append(Utterance(tmp_path / f"{number}.wav"))
    apart = [text for _, text in texts(cutting, pieces)]
    assert all(apart)
    assert texts(cutting, [long]) == [(long.audio, " ".join(apart))]


def test_a_piece_without_words_leaves_no_gap_in_the_text(tiny, record_clip, monkeypatch):
    long, heard = record_clip(None, 3, 16.0), itertools.cycle(["", "one", "", "two", ""])
    cutting = transcriber(tiny, None, segment_seconds=4.0, batch_size=1, detect_voice=False)
    words = (Heard(tuple(Word(w, 0.0, 0.1, 1.0) for w in text.split())) for text in heard)
    monkeypatch.setattr(Decoder, "__call__", lambda self, *batch, **named: [next(words)])
    ((_, text),) = texts(cutting, [long])
    assert text.split(" ") in (["one", "two"], ["two", "one"])


def test_neighbours_are_heard_as_one_only_where_that_can_be_judged(tiny):
    near = Loaded(Utterance(Path("a.wav")), [np.zeros(16_000, np.float32)] * 2, 3.0, NOBODY, (0.0, 1.5))
    far = replace(near, seconds=4.0, starts=(0.0, 2.5))
    assert [list(map(len, transcriber(tiny, None)._runs(one))) for one in (near, far)] == [[1, 2, 1], [1, 1]]
    sure_of_itself = transcriber(tiny, None, adapt_each=EachOptions())
    assert list(map(len, sure_of_itself._runs(near))) == [1, 1]


def test_silence_transcribes_to_nothing_with_a_warning(tiny, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    window, transcript = transcriber(tiny, None).transcribe([Utterance(tmp_path / "a.wav")])
    assert (transcript.text, transcript.seconds) == ("", 1.0)
    assert not window.failed
    assert "silent" in window.warnings[0]


def test_a_bad_file_fails_alone_and_the_order_stays(tiny, record_clip, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not audio")
    first, last = record_clip(None, 1), record_clip(None, 2)
    window, *found = transcriber(tiny, None).transcribe([first, Utterance(bad), Utterance(tmp_path / "no"), last])
    assert [item.utterance for item in found] == [first, last]
    assert [failure.item for failure in window.failed] == [str(bad), str(tmp_path / "no")]
    assert window.inputs == 4


def test_whoever_is_not_enrolled_is_warned_of_once(tiny, record_clip, tmp_path):
    clips = [record_clip(speaker, seed) for seed, speaker in enumerate(["eve", None, "eve", "../eve"])]
    found = list(transcriber(tiny, SpeakerStore(tmp_path / "store"), window_seconds=0.1).transcribe(clips))
    warnings = [warning for item in found if isinstance(item, Window) for warning in item.warnings]
    assert [warning.split()[0] for warning in warnings] == ["eve", "../eve"]
    assert all("not enrolled: the source model is used" in warning for warning in warnings)
    assert [item.adapted for item in found if isinstance(item, Transcript)] == [False] * 4


def test_a_speaker_that_is_asked_for_must_be_enrolled(tiny, tmp_path):
    store = SpeakerStore(tmp_path / "store")
    store_speaker(store, tiny, "anna", "affine")
    with pytest.raises(UnknownName, match="no speaker named 'ann'; known: anna"):
        transcriber(tiny, store).member("ann")
    with pytest.raises(UnknownName, match="There is no store"):
        transcriber(tiny, None).member("anna")


def failures(transcriber: Transcriber, clips: list[Utterance]) -> tuple[list[str], list[str | None]]:
    window, *found = transcriber.transcribe(clips)
    return [failure.reason for failure in window.failed], [item.utterance.speaker for item in found]


def test_an_adaptation_of_another_model_fails_only_its_own_files(tiny, tiny_model, record_clip, tmp_path):
    other, store = tiny_model(kernel=5, seed=1, name="other"), SpeakerStore(tmp_path / "store")
    store_speaker(store, other, "ann", "affine")
    store_speaker(store, tiny, "bob", "affine")
    found = transcriber(tiny, store)
    with pytest.raises(SourceMismatch, match="other"):
        found.member("ann")
    reasons, done = failures(found, [record_clip(speaker, 1) for speaker in ("ann", "bob", "ann", None)])
    assert done == ["bob", None]
    assert all("belongs to another source model" in reason for reason in reasons)
    assert len(reasons) == 2


@pytest.mark.parametrize(("said", "stored"), [("affine", "lowrank"), ("lowrank", "affine"), ("magic", "affine")])
def test_tensors_that_do_not_fit_their_method_fail_only_their_own_files(tiny, record_clip, tmp_path, said, stored):
    store = SpeakerStore(tmp_path / "store")
    store_speaker(store, tiny, "bob", "affine")
    record = store_speaker(store, tiny, "ann", stored)
    object.__setattr__(record, "method", said)
    object.__setattr__(record, "options", {})
    store.save(record, random_state(tiny, stored))
    found = transcriber(tiny, store)
    with pytest.raises(StoreError, match="speaker 'ann'"):
        found.member("ann")
    reasons, done = failures(found, [record_clip("ann", 1), record_clip("bob", 2)])
    assert (len(reasons), done) == (1, ["bob"])


def test_whoever_keeps_the_source_fits_every_source_model(tiny, tiny_model, record_clip, tmp_path):
    other, store = tiny_model(kernel=5, seed=1, name="other"), SpeakerStore(tmp_path / "store")
    store_speaker(store, other, "ann", IDENTITY)
    clip = record_clip("ann", 1)
    window, transcript = transcriber(tiny, store).transcribe([clip])
    assert not window.failed
    assert not transcript.adapted
    assert [(clip.audio, transcript.text)] == texts(transcriber(tiny, None), [clip])


@pytest.fixture
def edited(tiny):
    """Stores a speaker and edits the record, so that it says other options than the tensors were made with."""

    def make(store: SpeakerStore, speaker: str, method: str, options: object) -> None:
        store_speaker(store, tiny, speaker, method)
        (file,) = (store.root / "speakers" / speaker).rglob("speaker.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {"options": options}))

    return make


@pytest.mark.parametrize(
    "options",
    [
        {"lowrank": {"rank": 2.5}},
        {"lowrank": {"rank": True}},
        {"lowrank": {"rank": 1000000000}},
        {"lowrank": {"rank": 512}},
        {"lowrank": {"rank": -1}},
        {"lowrank": {"rank": None}},
        {"lowrank": {"rank": [4]}},
        {"lowrank": {"": {}}},
        {"nonsense": {}},
        {"affine": {}},
        {"encoder": {}, "lowrank": {"rank": 4}},
    ],
    ids=str,
)
def test_options_of_an_edited_speaker_that_do_not_fit_fail_only_their_own_files(
    tiny, record_clip, tmp_path, edited, options
):
    store = SpeakerStore(tmp_path / "store")
    store_speaker(store, tiny, "bob", "lowrank")
    edited(store, "ann", "lowrank", options)
    found = transcriber(tiny, store)
    with pytest.raises(DamagedSpeaker, match="speaker 'ann'"):
        found.member("ann")
    clips = [record_clip(speaker, seed) for seed, speaker in enumerate(["ann", "bob", "ann", None])]
    reasons, done = failures(found, clips)
    assert done == ["bob", None]
    assert len(reasons) == 2
    assert all("speaker 'ann'" in reason for reason in reasons)


def test_adaptations_are_kept_in_memory_within_a_bound(tiny, record_clip, tmp_path):
    store, people = SpeakerStore(tmp_path / "store"), ["ann", "bob", "cleo", "dora"]
    for seed, speaker in enumerate(people):
        store_speaker(store, tiny, speaker, "affine", seed=seed)
    clips = [record_clip(speaker, seed) for seed, speaker in enumerate(people * 2)]
    everything = texts(transcriber(tiny, store), clips)
    few = transcriber(tiny, store)
    few.enrollees.kept = KeptMembers(2 * few.member("ann").bytes)
    assert texts(few, clips) == everything
    assert list(few.enrollees.kept) == ["cleo", "dora"]
    few.member("cleo")
    few.member("bob")
    assert list(few.enrollees.kept) == ["cleo", "bob"]  # dora was not asked for the longest
    tight = KeptMembers(1)
    for name in ("ann", "bob"):
        tight.add(name, few.member(name))
    assert list(tight) == ["bob"]


def test_progress_goes_up_to_the_whole_of_every_window(tiny, record_clip):
    clips, shares = [record_clip(None, 1, 6.0), record_clip(None, 2)], []
    cutting = transcriber(tiny, None, segment_seconds=2.0, batch_size=1, detect_voice=False)
    list(cutting.transcribe(clips, progress=shares.append))
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5
    assert shares[-1] == 1.0


def test_a_vocabulary_that_changed_is_used_by_a_transcriber_that_runs(model, store):
    transcriber = Transcriber(model, store, decoder=Decoder.of(model, options=DecoderOptions(beams=4)))
    assert transcriber.phrases("ann") == ()
    store.set_vocabulary("ann", ["Kaliningrad"])
    assert transcriber.phrases("ann") == ("Kaliningrad",)
    store.set_vocabulary("ann", ["Riga"])
    assert transcriber.phrases("ann") == ("Riga",)
    assert transcriber.phrases("nobody") == transcriber.phrases(None) == ()
    assert Transcriber(model, store).phrases("ann") == ()  # greedy decoding has no use for them


def test_a_vocabulary_is_no_matter_where_a_model_is_decoded_greedily(tmp_path, record_clip):
    """Also one that no search could be run on, whose tokens are pieces of words."""
    pieces = make_model(tokens=("", " ", "the", "ing", "a"))
    store = SpeakerStore(tmp_path / "pieces")
    store_speaker(store, pieces, "ann", "affine")
    store.set_vocabulary("ann", ["Kaliningrad", "中村"])
    clips = [record_clip("ann", number) for number in range(2)]
    (window, *transcripts) = Transcriber(pieces, store).transcribe(clips)
    assert (window.failed, window.warnings) == ([], [])
    assert len(transcripts) == 2
    assert unwritable([], pieces.tokens) == []  # nor where no phrase is given
    with pytest.raises(InputError, match="single characters"):
        unwritable(["Riga"], pieces.tokens)
