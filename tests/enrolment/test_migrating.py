"""Taking a speaker to another source model: anew from kept recordings, or moved and judged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from samples import store_speaker, stored_files
from test_enroll import INPUT
from test_tokens import OPTIONS as LETTER
from test_tokens import record
from tones import make_tone_model
from whisper_samples import save_whisper

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment import EnrolmentOptions, enroll, migrating
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.migrating import migrate
from asradapt.enrolment.moving import move
from asradapt.enrolment.past import standing_bank
from asradapt.enrolment.suiting import own_options, suit
from asradapt.enrolment.updates import evaluate_pairs
from asradapt.errors import StoreError, UsageError
from asradapt.models import load_model
from asradapt.models.conformer import Conformer
from asradapt.models.source import ConformerSource
from asradapt.scoring import total
from asradapt.store import SpeakerStore


def renewed(**changes: float) -> ConformerSource:
    """The recogniser of tones trained again: the same but for its weights, which differ a little everywhere."""
    model = make_tone_model()
    with torch.no_grad():
        model.module.output.weight.mul_(1.01)
        for name, factor in changes.items():
            getattr(model.module, name).weight.mul_(factor)
    network, options, tokens = model.module, model._features, model.tokens
    return ConformerSource("tones2", network, options, tokens, {})


@pytest.fixture(scope="module")
def newer():
    """The new source model."""
    return renewed()


@pytest.fixture(scope="module")
def spoken(speak):
    """What a person said at the enrolment, and other sentences."""
    return speak("ann", shift=1.0, utterances=9), speak("ann", shift=1.0, utterances=8, seed=5)


@pytest.fixture
def enrolled(tone_model, store, spoken):
    """A store with the person adapted on the old model, nothing of hers kept."""
    (one,) = enroll(tone_model, {"ann": spoken[0]}, options=INPUT, store=store).speakers
    assert one.record.decision == "adapted"
    return store


@pytest.fixture
def agreed(tone_model, store, spoken):
    """The same with recordings that are kept."""
    enroll(tone_model, {"ann": spoken[0]}, options=INPUT, store=store, keep_audio=True)
    return store


def errors(model, store, utterances):
    """Word errors of the version in use."""
    examples = prepare_examples(model, utterances).usable
    bank = standing_bank(model, store.load("ann"))
    scores = evaluate_pairs(model, bank, [(0, one) for one in examples], INPUT.training)[0]
    return total(list(scores.counts.values())).wer


def test_who_agreed_to_keep_recordings_is_enrolled_anew(tone_model, newer, agreed, spoken):
    kept = agreed.recordings("ann").kept()
    done = migrate(newer, agreed, "ann", options=INPUT)
    assert done.anew
    assert done.how == "enrolled anew from 9 kept recordings"
    assert (done.record.decision, done.record.version) == ("adapted", 2)
    assert done.record.source == {"name": "tones2", "fingerprint": newer.fingerprint}
    assert done.record.utterances == 9
    assert done.record.folds["after"]["wer"] < done.record.folds["before"]["wer"]
    assert errors(newer, agreed, spoken[1]) < 0.3
    assert agreed.recordings("ann").kept() == kept, "what is kept is not kept twice"
    assert agreed.rollback("ann").source["fingerprint"] == tone_model.fingerprint


def test_a_model_of_another_rate_does_not_keep_the_same_recordings_twice(agreed):
    kept = agreed.recordings("ann").kept()
    model = make_tone_model()
    slower = ConformerSource("slow", model.module, replace(model._features, sample_rate=8000), model.tokens, {})
    done = migrate(slower, agreed, "ann", options=INPUT)
    assert done.anew
    assert agreed.recordings("ann").kept() == kept


def test_new_recordings_are_learned_from_beside_the_kept_ones(newer, agreed, spoken):
    done = migrate(newer, agreed, "ann", spoken[1], options=INPUT)
    left_out = [one for one in done.warnings if "left out" in one]
    assert len(left_out) == 1
    assert done.how == "enrolled anew from 9 kept recordings and 7 of 8 new ones"
    assert done.record.utterances == len(agreed.recordings("ann").kept().recordings) == 17 - len(left_out) > 14


def test_the_gate_decides_about_an_enrolment_anew_too(agreed):
    # a model that hears the shifted tones as they are: there is nothing to gain
    deaf = renewed(output=0.0)
    done = migrate(deaf, agreed, "ann", options=INPUT)
    assert (done.anew, done.record.decision, done.record.version) == (True, "source", 2)
    assert "the source is kept" in done.explanation
    assert agreed.rollback("ann").decision == "adapted"


def test_a_version_that_was_stored_while_one_was_judged_stays(tone_model, newer, enrolled, spoken, monkeypatch):
    judged = migrating.judge_moved

    def meanwhile(*arguments):
        store_speaker(enrolled, tone_model, "ann", "input")
        return judged(*arguments)

    monkeypatch.setattr(migrating, "judge_moved", meanwhile)
    with pytest.raises(StoreError, match="another version of ann was stored meanwhile"):
        migrate(newer, enrolled, "ann", spoken[1], options=INPUT)
    assert enrolled.versions("ann") == [1, 2]


def test_a_moved_adaptation_that_helps_is_used(tone_model, newer, enrolled, spoken):
    old = enrolled.load("ann")
    done = migrate(newer, enrolled, "ann", spoken[1], options=INPUT)
    record = done.record
    assert (done.anew, record.decision, record.method, record.version) == (False, "adapted", "input", 2)
    assert done.how == "moved 1 of 1 places from version 1"
    assert done.moved == ("input at features",)
    assert not done.dropped
    assert done.explanation.startswith("adapted: on held-out recordings the word error rate goes from")
    assert record.folds["after"]["wer"] < record.folds["before"]["wer"]
    assert record.gate["judged"]
    assert record.gate["chance"] < 0.1
    assert record.split["migrated"]["source"] == old.record.source
    assert record.split["texts"] == old.record.split["texts"], "what it has learned from stays known"
    new = enrolled.load("ann").tensors
    assert all(torch.equal(new[name], tensor) for name, tensor in old.tensors.items())
    back = enrolled.rollback("ann")
    assert (back.version, back.source["fingerprint"]) == (1, tone_model.fingerprint)


def test_a_moved_adaptation_that_does_not_help_gives_way_to_the_source(newer, store, tone_model, speak):
    store_speaker(store, tone_model, "bob", "input")  # random: worse than nothing
    done = migrate(newer, store, "bob", speak("bob", utterances=8), options=INPUT)
    assert (done.record.decision, done.record.method, done.record.version) == ("source", "identity", 2)
    assert "the source is kept" in done.explanation
    assert store.load("bob").tensors == {}
    assert store.rollback("bob").method == "input"


def test_recordings_that_the_adaptation_has_learned_from_do_not_judge_it(newer, enrolled, spoken):
    before = stored_files(enrolled.root)
    with pytest.raises(StoreError) as caught:
        migrate(newer, enrolled, "ann", [*spoken[0], *spoken[1][:2]], options=INPUT)
    assert "2 of 11 recordings can judge the adaptation, at least 4 are needed" in str(caught.value)
    assert "9 are known to it from the enrolment" in str(caught.value)
    assert stored_files(enrolled.root) == before


def test_recordings_of_which_some_are_known_judge_by_the_others(newer, enrolled, spoken):
    done = migrate(newer, enrolled, "ann", [*spoken[0], *spoken[1]], options=INPUT)
    left_out = [one for one in done.warnings if "left out" in one]
    assert len(done.record.gate["recordings"]["digests"]) == 8 - len(left_out) > 5


def test_unusable_recordings_are_named(newer, enrolled, spoken, tmp_path):
    missing = replace(spoken[1][0], audio=tmp_path / "no.wav")
    done = migrate(newer, enrolled, "ann", [missing, *spoken[1]], options=INPUT)
    assert [failure.item for failure in done.failed] == [str(tmp_path / "no.wav")]
    with pytest.raises(StoreError, match=r"0 of 1 recording can judge .*unusable: .*no\.wav"):
        migrate(renewed(output=0.5), enrolled, "ann", [missing], options=INPUT)


def test_without_recordings_nothing_is_moved_unless_that_is_said(newer, enrolled):
    before = stored_files(enrolled.root)
    with pytest.raises(StoreError, match="give recordings with texts to judge it by, or --unjudged"):
        migrate(newer, enrolled, "ann", options=INPUT)
    assert stored_files(enrolled.root) == before
    done = migrate(newer, enrolled, "ann", options=INPUT, unjudged=True)
    assert done.record.decision == "adapted"
    assert done.explanation == "never judged: nothing tells whether it helps on this model"
    assert done.record.folds == {}
    assert done.record.gate == {
        "judged": False,
        "reason": "moved from version 1, made for tones, without recordings to judge it by",
    }


def test_unjudged_goes_without_recordings_only(newer, enrolled, spoken):
    with pytest.raises(UsageError, match="leave out --unjudged"):
        migrate(newer, enrolled, "ann", spoken[1], options=INPUT, unjudged=True)


def test_kept_recordings_are_there_to_judge_by(newer, agreed):
    with pytest.raises(UsageError, match="leave out --unjudged"):
        migrate(newer, agreed, "ann", options=INPUT, unjudged=True)


def test_who_is_on_the_model_already_stays_there(tone_model, enrolled, spoken):
    with pytest.raises(StoreError, match="ann is on tones already"):
        migrate(tone_model, enrolled, "ann", spoken[1], options=INPUT)


def test_who_keeps_the_source_has_nothing_to_move(newer, store, tone_model):
    store_speaker(store, tone_model, "bob", "identity")
    with pytest.raises(StoreError, match="bob keeps the source, which goes with every model"):
        migrate(newer, store, "bob", options=INPUT, unjudged=True)


@pytest.mark.parametrize(("blocks", "moved", "dropped", "fresh"), [(3, 12, 0, 6), (1, 6, 6, 0), (2, 12, 0, 0)])
def test_places_are_moved_by_name(tiny_model, store, blocks, moved, dropped, fresh):
    old, new = tiny_model(), tiny_model(seed=3, blocks=blocks, name="new")
    store_speaker(store, old, "ann", "lowrank")
    found = move(new, store.load("ann"))
    assert (len(found.moved), len(found.dropped), found.fresh) == (moved, dropped, fresh)
    assert all("the new model has no such place" in one for one in found.dropped)
    assert "lowrank at blocks.0.first.up" in found.moved
    for name, tensor in found.state.items():
        if name in store.load("ann").tensors:
            assert torch.equal(tensor, store.load("ann").tensors[name])
        else:
            assert not name.endswith("/up") or not tensor.any(), "the identity where nothing was moved"


def test_places_of_other_widths_are_dropped_whole_and_named(tiny_model, store):
    store_speaker(store, tiny_model(), "ann", "lowrank")
    found = move(tiny_model(expansion=2), store.load("ann"))
    assert len(found.dropped) == 8  # up and down of both halves in both blocks
    assert "lowrank at blocks.0.first.up: up is 4x64, in the new model 4x32" in found.dropped
    assert "lowrank at blocks.0.first.down: down is 64x4, in the new model 32x4" in found.dropped
    state = found.state
    assert not state["lowrank/blocks.0.first.up/up"].any()


def test_a_model_that_shares_no_place_takes_nothing(tiny_model, store):
    store_speaker(store, tiny_model(), "ann", "lowrank")
    before = stored_files(store.root)
    with pytest.raises(StoreError, match=r"nothing of version 1 fits wide: .* Enrol the speaker on the new model"):
        migrate(tiny_model(width=32, name="wide"), store, "ann", unjudged=True)
    assert stored_files(store.root) == before


def test_kept_recordings_that_cannot_be_used_change_nothing(agreed, tiny_model):
    before = stored_files(agreed.root)
    other = tiny_model(tokens=("<blank>", " ", "x"))  # writes none of the letters
    with pytest.raises(
        StoreError, match="ann cannot be enrolled on tiny from what is kept: the model cannot write"
    ):
        migrate(other, agreed, "ann", options=INPUT)
    assert stored_files(agreed.root) == before


def test_kept_recordings_that_are_damaged_are_named(newer, agreed):
    for path in agreed.recordings("ann").path.glob("*.flac"):
        path.write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"what is kept of ann cannot be used: .*flac"):
        migrate(newer, agreed, "ann", options=INPUT)


def test_an_enrolment_from_an_imported_version_begins_with_the_source(tone_model, store, spoken):
    record = store_speaker(store, tone_model, "ann", "input")
    tensors = store.load("ann").tensors
    store.save(replace(record, split={"imported": {}}, gate={"judged": False}, created=""), tensors)
    result = enroll(tone_model, {"ann": spoken[0]}, options=INPUT, store=store)
    assert any("was imported, and what it has learned from is not known" in one for one in result.warnings)
    assert result.speakers[0].record.decision == "adapted"
    assert "earlier" not in result.speakers[0].record.split


def test_the_number_of_kept_recordings_that_were_used_is_told(newer, agreed):
    shelf = agreed.recordings("ann")
    listed = shelf.path / "kept.json"
    # the first text is one that cannot be said in the time of its recording
    kept = json.loads(listed.read_text())
    kept["recordings"][0]["text"] = "abcde " * 60
    listed.write_text(json.dumps(kept))
    done = migrate(newer, agreed, "ann", options=INPUT)
    assert done.record.utterances == 8
    assert done.how == "enrolled anew from 8 of 9 kept recordings"
    assert "too many for" in done.failed[0].reason


# ---- the person's own method and characters


def with_more_letters(letters: str) -> ConformerSource:
    """The recogniser of tones with outputs for more letters, which it never writes."""
    model = make_tone_model()
    known = len(model.tokens)
    network = Conformer(replace(model.module.options, tokens=known + len(letters)))
    state = model.module.state_dict()
    state["output.weight"] = torch.cat([state["output.weight"], torch.zeros(len(letters), 16)])
    state["output.bias"] = torch.cat([state["output.bias"], torch.full((len(letters),), -9.0)])
    network.load_state_dict(state)
    return ConformerSource("wide", network, model._features, (*model.tokens, *letters), {})


@pytest.fixture(scope="module")
def accented(tmp_path_factory):
    """Recordings of a person with a letter of her own: to enrol from, and others."""
    folder = tmp_path_factory.mktemp("accented")
    return record(folder, "ann", "abcdeéé", 9), record(folder, "ann", "abcdeéé", 8, seed=7)


@pytest.fixture(scope="module")
def learned(tone_model, accented, tmp_path_factory):
    """Two stores in which she has learned to write it: one with her recordings, one without."""
    found = {}
    for keep in (True, False):
        found[keep] = SpeakerStore(tmp_path_factory.mktemp("learned"))
        options = replace(LETTER, add_tokens="é")
        (one,) = enroll(
            tone_model, {"ann": accented[0]}, options=options, store=found[keep], keep_audio=keep
        ).speakers
        assert (one.record.decision, one.record.method) == ("adapted", "head+tokens")
    return found


@pytest.fixture
def letters(learned, tmp_path):
    """Copies of them."""

    def copy(keep: bool) -> SpeakerStore:
        shutil.copytree(learned[keep].root, tmp_path / "copy")
        return SpeakerStore(tmp_path / "copy")

    return copy


@pytest.mark.parametrize("fresh", [True, False])
def test_added_characters_and_the_method_stay_when_enrolled_anew(newer, letters, accented, fresh):
    store = letters(True)
    options = replace(LETTER, method="auto")
    done = migrate(newer, store, "ann", [] if fresh else accented[1], options=options)
    assert done.anew
    assert not done.failed
    assert (done.record.decision, done.record.method) == ("adapted", "head+tokens")
    assert done.record.options == {"head": {}, "tokens": {"characters": "é"}}
    assert done.record.folds["after"]["wer"] < 0.3 < done.record.folds["before"]["wer"]
    assert not done.dropped


def test_a_method_that_is_asked_for_takes_the_place_of_the_persons_own(newer, letters):
    done = migrate(newer, letters(True), "ann", options=replace(LETTER, method="affine", passes=1, least_steps=1))
    assert done.record.gate["tried"]["method"] == "affine+tokens"


def test_options_of_the_method_stay_and_auto_chooses_where_nothing_of_it_fits(tiny_model, store):
    options = EnrolmentOptions()
    model = tiny_model(name="new")
    kept = store_speaker(store, tiny_model(), "ann", "affine+lowrank")
    ranked = replace(kept, options={"affine": {}, "lowrank": {"rank": 2}})
    own = own_options(options, suit(model, ranked))
    assert (own.method, own.method_options) == ("affine+lowrank", {"affine": {}, "lowrank": {"rank": 2}})
    for method in ("identity", "tokens"):
        gone = replace(kept, method=method, options={"tokens": {"characters": "ab"}} if method == "tokens" else {})
        assert own_options(options, suit(model, gone)) == options


def test_a_moved_adaptation_is_judged_with_its_characters(newer, letters, accented):
    store = letters(False)
    done = migrate(newer, store, "ann", accented[1], options=LETTER)
    assert not done.failed, "the texts with the new letter can be used"
    assert (done.record.decision, done.record.method) == ("adapted", "head+tokens")
    left_out = [one for one in done.warnings if "left out" in one]
    assert len(done.record.gate["recordings"]["digests"]) == 8 - len(left_out) > 5
    assert done.record.folds["after"]["wer"] < 0.3 < done.record.folds["before"]["wer"]


def test_characters_that_the_new_model_can_write_are_dropped_with_the_reason(letters):
    done = migrate(with_more_letters("é"), letters(True), "ann", options=replace(LETTER, method="auto"))
    assert not done.failed
    assert done.record.gate["tried"]["method"] == "head"
    assert done.record.utterances > 7, "its texts can be used"
    assert done.dropped == ("tokens: the model 'wide' can write all of the new characters by itself",)


def test_of_moved_characters_those_that_the_new_model_cannot_write_remain(tone_model, store):
    tokens = {"tokens": {"characters": "éñж"}}
    bank = SpeakerBank(tone_model, create("affine+tokens", tokens))
    state = {name: torch.randn(one.shape) for name, one in bank.state(0).items()}
    plain = store_speaker(store, tone_model, "ann", "affine")
    store.save(replace(plain, method="affine+tokens", options={"affine": {}} | tokens, created=""), state)
    done = migrate(with_more_letters("ñ"), store, "ann", unjudged=True)
    assert done.dropped == ("new characters: the model 'wide' can write ñ by itself",)
    assert done.record.options["tokens"] == {"characters": "éж"}
    assert done.record.split["migrated"]["dropped"] == list(done.dropped)
    moved = store.load("ann").tensors
    for name in (one for one in state if one.startswith("tokens/")):
        assert torch.equal(moved[name], state[name][..., [0, 2]])
    standing_bank(with_more_letters("ñ"), store.load("ann"))


def test_where_the_new_model_can_write_all_moved_characters_the_rest_of_the_method_remains(tone_model, store):
    tokens = {"tokens": {"characters": "é"}}
    state = SpeakerBank(tone_model, create("affine+tokens", tokens)).state(0)
    plain = store_speaker(store, tone_model, "ann", "affine")
    store.save(replace(plain, method="affine+tokens", options={"affine": {}} | tokens, created=""), state)
    done = migrate(with_more_letters("é"), store, "ann", unjudged=True)
    assert (done.record.method, done.record.options) == ("affine", {"affine": {}})
    assert done.dropped == ("tokens at output: the model 'wide' can write all of the new characters by itself",)
    assert not any(name.startswith("tokens/") for name in store.load("ann").tensors)


def test_a_whisper_takes_no_tokens_but_the_rest_of_the_method(tone_model, store, tmp_path):
    model = load_model(str(save_whisper(tmp_path / "whisper")), device="cpu")
    record = store_speaker(store, model, "ann", "affine")
    tensors = store.load("ann").tensors | {
        "tokens/output/weight": torch.zeros(1, 16, 1),
        "tokens/output/bias": torch.zeros(1, 1),
    }
    source = {"name": tone_model.name, "fingerprint": tone_model.fingerprint}
    options = {"affine": {}, "tokens": {"characters": "é"}}
    store.save(replace(record, method="affine+tokens", options=options, source=source, created=""), tensors)
    done = migrate(model, store, "ann", unjudged=True)
    assert (done.record.method, done.record.options) == ("affine", {"affine": {}})
    (dropped,) = done.dropped
    assert dropped.startswith("tokens at output: the model ")
    assert dropped.endswith("writes its texts token by token, and takes no new characters")
    assert "tokens/output/bias" not in store.load("ann").tensors
    wide = replace(record, method="affine+tokens", options=options)
    own = own_options(EnrolmentOptions(), suit(model, wide))
    assert (own.method, own.method_options) == ("affine", {"affine": {}})
