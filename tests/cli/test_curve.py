from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from samples import random_state, store_speaker

from asradapt.curve import CurveOptions, draw, forecast, learning_curve
from asradapt.curve.learning import _names, _read_before, _told
from asradapt.enrolment import EnrolmentOptions
from asradapt.errors import ManifestError, UsageError
from asradapt.scoring import score
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.transcript import Transcript
from asradapt.types import Failure, Utterance


def rows(seconds):
    return [Utterance(f"{number}.wav", "a", "ann", duration=length) for number, length in enumerate(seconds)]  # type: ignore[arg-type]


def seconds(utterances):
    return sum(one.duration for one in utterances)


def test_what_is_drawn_comes_closest_and_is_part_of_more():
    recordings = rows([5, 7, 3, 9, 4, 8, 6, 2, 5, 5, 7, 3])
    previous = []
    for minutes in (0.1, 0.3, 0.5, 1.0):
        drawn = draw(recordings, minutes, seed=3)
        assert abs(seconds(drawn) - 60 * minutes) <= 4.5
        assert drawn[: len(previous)] == previous
        previous = drawn
    assert draw(recordings, 0.3, seed=4) != draw(recordings, 0.3, seed=3)
    assert draw(recordings[::-1], 0.3, seed=3) == draw(recordings, 0.3, seed=3)
    assert len(draw(rows([50]), 0.1, seed=0)) == 1  # never nothing


def test_the_forecast_follows_a_power_law_and_never_rises():
    exact = [0.6 * x**-0.25 for x in (0.5, 1.0, 2.0)]
    assert forecast([0.5, 1.0, 2.0], exact, 8.0) == pytest.approx(0.6 * 8**-0.25)
    assert forecast([1.0, 2.0], [0.2, 0.4], 4.0) == pytest.approx((0.2 * 0.4) ** 0.5)
    assert forecast([1.0], [0.2], 4.0) is None
    assert forecast([1.0, 2.0, 3.0], [0.2, 0.0, 0.0], 4.0) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"minutes": ()}, "got none"),
        ({"minutes": (0.0, 1.0)}, "above 0"),
        ({"minutes": (2.0, 1.0), "repeats": 0}, "minutes must rise; repeats must be at least 1"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        CurveOptions(**options)


@pytest.fixture(scope="module")
def people(recordings):
    """The recordings of the command line's tests, with durations."""
    import soundfile

    found = {"enroll": {}, "test": {}}
    for line in (recordings / "manifest.jsonl").read_text().splitlines():
        row = json.loads(line)
        path = recordings / row["audio_filepath"]
        one = Utterance(path, row["text"], row["speaker"], soundfile.info(path).duration)
        found[row["part"]].setdefault(row["speaker"], []).append(one)
    return found


OPTIONS = CurveOptions((0.06, 0.12, 0.2, 5.0), 2, 0, EnrolmentOptions(method="affine", passes=4))


@pytest.fixture(scope="module")
def curve(tiny, people):
    return learning_curve(tiny, people["enroll"], {"ann": people["test"]["ann"]}, OPTIONS)


def test_a_curve_has_its_points_and_repeats(curve, people):
    assert curve.speakers == ("ann",)
    assert [(point.minutes, [run.repeat for run in point.runs]) for point in curve.points] == [
        (0.06, [1, 2]),
        (0.12, [1, 2]),
        (0.2, [1, 2]),
    ]
    assert all(abs(run.seconds - 60 * point.minutes) < 1 for point in curve.points for run in point.runs)
    assert [point.forecast is None for point in curve.points] == [True, True, False]
    assert {"bob", "5"} <= set(" ".join(curve.warnings).translate(str.maketrans("", "", ":()")).split())
    json.dumps(curve.as_dict(), allow_nan=False)


def test_more_minutes_help_this_speaker(curve):
    assert curve.points[-1].adapted == 2
    assert curve.points[-1].mean < curve.source.wer


def test_the_change_of_a_point_is_the_mean_of_its_repeats_and_has_an_interval(curve):
    for point in curve.points:
        assert point.change.difference == pytest.approx(point.mean - curve.source.wer)
        assert point.change.over == "utterances"  # one person
    longest = curve.points[-1].change
    assert longest.low < longest.difference < longest.high
    assert curve.as_dict()["points"][-1]["change"]["low"] == longest.low


def test_the_source_is_what_the_transcriber_hears(curve, tiny, people):
    own = people["test"]["ann"]
    texts = [i.text for i in Transcriber(tiny).transcribe(own) if isinstance(i, Transcript)]
    assert [before for _, before, _ in curve.tested] == texts
    counts = [score(one.text, text).errors for one, text in zip(own, texts, strict=True)]
    assert curve.source.errors == sum(counts)
    after = sum(score(one.text, text).errors for one, _, text in curve.tested)
    assert after == curve.points[-1].runs[0].after.errors


def test_the_same_seed_gives_the_same_curve(curve, tiny, people):
    again = learning_curve(tiny, people["enroll"], {"ann": people["test"]["ann"]}, OPTIONS)
    assert again.as_dict() == curve.as_dict()


def test_a_point_is_the_same_whichever_others_are_asked_for(curve, tiny, people):
    asked = replace(OPTIONS, minutes=(0.12,), repeats=1)
    (alone,) = learning_curve(tiny, people["enroll"], {"ann": people["test"]["ann"]}, asked).points
    assert alone.runs[0] == curve.points[1].runs[0]


def test_too_little_audio_is_an_error(tiny, people):
    own = {"ann": people["enroll"]["ann"]}
    with pytest.raises(ManifestError, match=r"ann has only 0\.2"):
        learning_curve(tiny, own, people["test"], CurveOptions((5.0,)))
    with pytest.raises(ManifestError, match="nobody has recordings both"):
        learning_curve(tiny, own, {"bob": []})


def test_durations_that_a_manifest_lacks_are_those_of_the_files(curve, tiny, people):
    bare = [replace(one, duration=None) for one in people["enroll"]["ann"]]
    lost = replace(bare[0], audio=Path("lost.wav"))
    found = learning_curve(tiny, {"ann": [*bare, lost], "bob": [lost]}, {"ann": people["test"]["ann"]}, OPTIONS)
    assert found.points == curve.points
    assert [(one.item, "does not exist" in one.reason) for one in found.failed] == [("lost.wav", True)]
    with pytest.raises(ManifestError, match=r"nobody has .* \(1 cannot be read, such as lost\.wav: .*not exist"):
        learning_curve(tiny, {"ann": [lost]}, people["test"])


def test_recordings_to_test_that_may_be_enrolled_are_refused(tiny, people):
    own = {"ann": people["enroll"]["ann"]}
    with pytest.raises(ManifestError, match="may be enrolled too"):
        learning_curve(tiny, own, own, OPTIONS)


def test_a_point_has_the_same_name_whichever_others_are_asked_for() -> None:
    alone, among = _names(["ann"], [1.0], 1), _names(["bob", "ann"], [0.5, 1.0, 2.0], 2)
    assert among["ann", 1.0, 1] == alone["ann", 1.0, 1]
    assert len(set(among.values())) == len(among) == 12


def test_failures_of_points_are_told_under_the_names_of_their_people() -> None:
    names = _names(["ann"], [1.0], 2)
    failed = [Failure(names["ann", 1.0, 2], "no usable recording"), Failure("a.wav", "damaged")]
    assert [one.item for one in _told(names, failed)] == ["ann, 1 minutes, repeat 2", "a.wav"]


def test_sentences_of_the_enrolment_are_warned_of_under_the_name_of_the_person(tiny, tmp_path) -> None:
    store, names = SpeakerStore(tmp_path), _names(["ann"], [1.0], 1)
    (point,) = names.values()
    record = store_speaker(store, tiny, point, "affine")
    read = replace(record, split={"texts": ["the blue hats are here", "go"]})
    store.save(read, random_state(tiny, "affine"))
    tests = {"ann": [Utterance("a.wav", text) for text in ("The blue hats are here.", "go", "nothing of this")]}
    (warning,) = _read_before(store, names, tests, {point})
    assert warning.startswith("ann: 1 of 3 texts were also read")
    assert _read_before(store, names, tests, set()) == []
