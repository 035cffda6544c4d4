from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from samples import store_speaker

from asradapt.comparison import compare_systems, parse_systems
from asradapt.errors import UnknownName
from asradapt.evaluation import evaluate
from asradapt.pcm import digest
from asradapt.scoring import NORMALIZER, score, total
from asradapt.scoring.remarks import UNNAMED
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions
from asradapt.types import Utterance

SAID = ("red", "the blue hats", "one two three four five six seven", "go")


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return tiny_model(kernel=5)


@pytest.fixture(scope="module")
def store(tmp_path_factory, tiny):
    store = SpeakerStore(tmp_path_factory.mktemp("store"))
    for seed, (speaker, method) in enumerate([("ann", "affine"), ("bob", "encoder"), ("kept", "identity")]):
        store_speaker(store, tiny, speaker, method, seed=seed)
    return store


@pytest.fixture(scope="module")
def utterances(tmp_path_factory, babble):
    """Four utterances of very different lengths for each of five speakers, mixed."""
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for number, text in enumerate(SAID):
        for index, speaker in enumerate(["ann", "bob", "kept", "stranger", None]):
            path, seed = folder / f"{speaker}{number}.wav", 5 * number + index
            soundfile.write(path, babble(0.4 + 0.3 * number, seed).numpy(), 16_000)
            found.append(Utterance(path, text, speaker))
    return found


@pytest.fixture(scope="module")
def result(tiny, store, utterances):
    return evaluate(Transcriber(tiny, store), utterances)


def by_name(result):
    return {speaker.speaker: speaker for speaker in result.speakers}


def test_everybody_is_there_with_how_they_are_treated(result):
    treated = {s.speaker: (s.method, s.decision, s.enrolled, len(s.pairs)) for s in result.speakers}
    assert treated == {
        "ann": ("affine", "adapted", True, 4),
        "bob": ("encoder", "adapted", True, 4),
        "kept": ("identity", "source", True, 4),
        "stranger": ("identity", "source", False, 4),
        UNNAMED: ("identity", "source", False, 4),
    }


def test_whoever_is_not_enrolled_counts_as_the_source_and_it_says_so(result):
    assert [warning for warning in result.warnings if "not enrolled" in warning] == [
        "stranger is not enrolled: the source model is used"
    ]
    assert result.speakers[3].as_dict()["enrolled"] is False


def test_adapted_speakers_are_really_compared(result):
    for speaker in ("ann", "bob"):
        assert any(pair.source_text != pair.adapted_text for pair in by_name(result)[speaker].pairs)


def test_texts_and_counts_are_those_of_transcribing_with_and_without_adaptation(tiny, store, utterances, result):
    texts = {}
    for source_only in (True, False):
        found = Transcriber(tiny, store).transcribe(utterances, source_only=source_only)
        texts[source_only] = {item.utterance.audio: item.text for item in found if hasattr(item, "text")}
    for pair in (pair for speaker in result.speakers for pair in speaker.pairs):
        audio, said = pair.utterance.audio, pair.utterance.text
        assert (pair.source_text, pair.adapted_text) == (texts[True][audio], texts[False][audio])
        assert pair.before == score(said, texts[True][audio])
        assert pair.after == score(said, texts[False][audio])


def test_pooled_counts_are_sums_and_not_means_of_rates(result):
    pairs = [pair for speaker in result.speakers for pair in speaker.pairs]
    assert len(pairs) == 20
    assert result.before == total([pair.before for pair in pairs])
    assert result.after == total([pair.after for pair in pairs])
    assert result.before.words == 5 * sum(len(text.split()) for text in SAID)
    assert result.before.wer == result.before.errors / result.before.words
    assert result.before.wer != pytest.approx(sum(pair.before.wer for pair in pairs) / len(pairs))
    assert result.difference.difference == pytest.approx(result.after.wer - result.before.wer)
    assert result.difference.low <= result.difference.difference <= result.difference.high


def test_better_equal_and_worse_speakers_are_counted_by_their_errors(result):
    signs = [np.sign(s.after.errors - s.before.errors) for s in result.speakers]
    assert result.changed() == {"worse": signs.count(1), "equal": signs.count(0), "better": signs.count(-1)}
    assert sum(result.changed().values()) == 5
    assert result.changed()["equal"] >= 3


def test_the_report_names_normaliser_and_model_and_is_json(result):
    content = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert (content["normalizer"], content["model"]) == (NORMALIZER, "tiny")


def test_the_same_seed_gives_the_same_interval_and_windows_change_nothing(tiny, store, utterances, result):
    small = Transcriber(tiny, store, TranscriberOptions(window_seconds=1.5, batch_size=2))
    assert evaluate(small, utterances).as_dict() == result.as_dict()
    other = evaluate(small, utterances, seed=1)
    assert other.before == result.before
    assert other.difference != result.difference


def test_progress_reaches_the_number_of_inputs(tiny, utterances):
    counts: list[float] = []
    options = TranscriberOptions(window_seconds=1.0)
    evaluate(Transcriber(tiny, None, options), utterances, progress=counts.append)
    assert len(counts) > 3
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] == len(utterances)


def test_one_speaker_for_all_utterances(tiny, store, utterances):
    result = evaluate(Transcriber(tiny, store), utterances[:6], speaker="ann")
    assert [(s.speaker, len(s.pairs)) for s in result.speakers] == [("ann", 6)]
    with pytest.raises(UnknownName, match="known: ann, bob, kept"):
        evaluate(Transcriber(tiny, store), utterances[:6], speaker="an")


@pytest.mark.parametrize("text", [None, "", "  ", "?!", "..."])
def test_nothing_to_score_against_is_a_failure_of_that_row(tiny, store, utterances, text):
    broken = Utterance(utterances[0].audio, text, "ann")
    result = evaluate(Transcriber(tiny, store), [broken, utterances[1]])
    assert [failure.item for failure in result.failed] == [str(broken.audio)]
    assert [s.speaker for s in result.speakers] == ["bob"]


def test_unreadable_audio_fails_alone(tiny, store, utterances, tmp_path):
    missing = Utterance(tmp_path / "no.wav", "hello", "ann")
    result = evaluate(Transcriber(tiny, store), [utterances[0], missing, utterances[1]])
    assert [failure.item for failure in result.failed] == [str(missing.audio)]
    assert sum(len(s.pairs) for s in result.speakers) == 2


def test_silence_counts_as_deleted_words(tiny, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    result = evaluate(Transcriber(tiny, None), [Utterance(tmp_path / "a.wav", "three little words")])
    assert (result.before.deletions, result.before.words, result.before.wer) == (3, 3, 1.0)
    assert not result.failed


def test_one_utterance_allows_no_interval_and_none_no_rates(tiny, utterances):
    one = evaluate(Transcriber(tiny, None), utterances[:1])
    assert (one.difference.low, one.difference.high) == (None, None)
    none = evaluate(Transcriber(tiny, None), [])
    assert (none.speakers, none.before.words, none.before.wer) == ((), 0, 0.0)


def test_measuring_on_sentences_of_the_enrolment_is_warned_of(tiny, store, utterances, tmp_path):
    known = SpeakerStore(tmp_path)
    stored = store.load("ann")
    record = dataclasses.replace(stored.record, split={"texts": ["one two three four five six seven", "go"]})
    known.save(record, stored.tensors)
    own = [utterance for utterance in utterances if utterance.speaker == "ann"]
    found = evaluate(Transcriber(tiny, known), own).warnings
    assert [warning for warning in found if "also read for the enrolment" in warning and "1 of 4" in warning]
    systems = parse_systems("source,adapted,ann@v1")
    told = [w for w in compare_systems(systems, own, model=tiny, store=known).warnings if "also read" in w]
    assert [w.split(":")[0] for w in told] == ["adapted", "ann@v1"]
    others = [utterance for utterance in own if not utterance.text.startswith("one")]
    assert not [w for w in evaluate(Transcriber(tiny, known), others).warnings if "also read" in w]


def test_measuring_on_the_recordings_of_the_enrolment_is_warned_of_however_short_their_texts(
    tiny, store, utterances, tmp_path
):
    own = [dataclasses.replace(one, text="go") for one in utterances if one.speaker == "ann"]
    samples = [soundfile.read(one.audio, dtype="float32")[0] for one in own]
    earlier = {"version": 1, "texts": ["go"], "digests": [digest(samples[1])]}
    split = {"texts": ["go"], "digests": [digest(samples[0])], "earlier": earlier}
    stored, known = store.load("ann"), SpeakerStore(tmp_path)
    known.save(dataclasses.replace(stored.record, split=split), stored.tensors)
    told = "ann: the enrolment was made from 2 of 4 recordings, so the error after adaptation is flattered"
    assert [w for w in evaluate(Transcriber(tiny, known), own).warnings if w.startswith(told)]
    systems = parse_systems("source,adapted,ann@v1,ann")
    found = [w for w in compare_systems(systems, own, model=tiny, store=known).warnings if "2 of 4" in w]
    names = ("adapted: ann", "ann@v1", "ann")  # nobody is named twice
    assert [w.split(": the enrolment was")[0] for w in found] == list(names)
    assert not [w for w in evaluate(Transcriber(tiny, known), own[2:]).warnings if "enrolment" in w]


def test_digits_in_the_texts_are_warned_of(tiny, utterances):
    rows = [dataclasses.replace(one, text="7 blue hats") for one in utterances[:1]] + utterances[5:7]
    alone = evaluate(Transcriber(tiny, None), rows).warnings
    among = compare_systems(parse_systems("source"), rows, model=tiny).warnings
    for warnings in (alone, among):
        told = [warning for warning in warnings if "digits" in warning]
        assert len(told) == 1
        assert told[0].startswith("1 of 3 texts have digits, such as '7 blue hats'")
    assert not [w for w in evaluate(Transcriber(tiny, None), utterances[:3]).warnings if "digits" in w]
