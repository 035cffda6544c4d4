from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from language_samples import ARPA, TOKENS, ngrams, word_logprob, write_arpa

from asradapt.decoding import BeamOptions, Decoder, DecoderOptions, Fusion, Weights, beam_search
from asradapt.errors import InputError, UsageError
from asradapt.language import load_language, make_lexicon

FILES = Path(__file__).parent / "binaries"
SAME = ("small_probing.bin", "small_trie.bin", "upper_array.bin")
CLOSED = "\n".join(line for line in ARPA.splitlines() if "<unk>" not in line)
CLOSED = CLOSED.replace("ngram 1=6", "ngram 1=5").replace("ngram 2=5", "ngram 2=4")
WORDS = ("a", "ab", "ba", "<unk>")


@pytest.fixture(autouse=True)
def _needs_kenlm(request):
    if "without" not in request.node.name:
        pytest.importorskip("kenlm")


def sentence_logprob(model, sentence: tuple[str, ...]) -> float:
    state, total = model.begin(1), 0.0
    for word in (*sentence, "</s>"):
        value, state = model.score(state, torch.tensor([model.words.index(word)]))
        total += float(value)
    return total


@pytest.mark.parametrize("name", SAME)
def test_binaries_score_as_back_off_models_are_defined(name):
    model, grams = load_language(FILES / name), ngrams()
    assert model.order == 3
    for sentence in itertools.chain.from_iterable(itertools.product(WORDS, repeat=n) for n in range(4)):
        said = ("<s>", *sentence, "</s>")
        expected = sum(word_logprob(grams, said[max(0, i - 2) : i], said[i]) for i in range(1, len(said)))
        assert sentence_logprob(model, sentence) == pytest.approx(expected, abs=1e-4)


def test_a_closed_vocabulary_is_as_open_as_that_of_its_arpa_file(tmp_path):
    binary, text = load_language(FILES / "closed_trie.bin"), load_language(write_arpa(tmp_path, CLOSED))
    for sentence in itertools.product(WORDS, repeat=2):
        assert sentence_logprob(binary, sentence) == pytest.approx(sentence_logprob(text, sentence), abs=1e-4)


@pytest.mark.parametrize("name", SAME)
def test_a_beam_search_finds_the_same_as_with_the_arpa_file(name, tmp_path):
    logits = 2 * torch.randn(4, 12, len(TOKENS), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    lengths, found = torch.tensor([12, 9, 3, 0]), []
    for path in (FILES / name, write_arpa(tmp_path)):
        model = load_language(path)
        fusion = Fusion(1, Weights(), model, make_lexicon(model, TOKENS))
        found.append(beam_search(logits, lengths, TOKENS, fusion, BeamOptions(best=8)))
    for binary, text in zip(*found, strict=True):
        assert [h.text for h in binary] == [h.text for h in text]
        assert [h.score for h in binary] == pytest.approx([h.score for h in text], abs=1e-4)


def test_the_lexicon_is_that_of_the_arpa_file_whatever_the_order_of_the_words(tmp_path):
    binary, text = (
        make_lexicon(load_language(p), TOKENS) for p in (FILES / "small_trie.bin", write_arpa(tmp_path))
    )
    assert torch.equal(binary.children, text.children)
    assert torch.allclose(binary.ahead, text.ahead, atol=1e-5)
    assert torch.allclose(binary.spelling, text.spelling)
    assert binary.open_word == pytest.approx(text.open_word)


def test_answers_are_the_same_after_they_were_forgotten(monkeypatch):
    model = load_language(FILES / "small_trie.bin")
    sentences = list(itertools.product(WORDS, repeat=3))
    expected = [sentence_logprob(model, sentence) for sentence in sentences]
    monkeypatch.setattr("asradapt.language.kenlm_binary._KEPT", 3)
    assert [sentence_logprob(model, sentence) for sentence in sentences] == expected


def test_a_decoder_takes_it():
    logits = 3 * torch.randn(2, 10, len(TOKENS), generator=torch.Generator().manual_seed(2))
    decoder = Decoder(TOKENS, 0.04, load_language(FILES / "small_probing.bin"), DecoderOptions(beams=8))
    assert all(set(heard.text) <= set(" ab") for heard in decoder(logits, torch.tensor([10, 7])))


def test_a_binary_without_its_words_is_refused():
    with pytest.raises(InputError, match=r"holds no words .* or give the ARPA file"):
        load_language(FILES / "no_words.bin")


@pytest.mark.parametrize("name", SAME)
def test_a_binary_that_was_copied_in_part_is_refused(name, tmp_path):
    whole, path = (FILES / name).read_bytes(), tmp_path / "part"
    for size in [33, 60, 100, 120, *range(130, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match="part cannot be used"):
            load_language(path)


DAMAGE = """
import sys
from pathlib import Path
from asradapt.errors import InputError
from asradapt.language import load_language
whole, path = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2])
for place in range(33, 152):
    for value in (0, 255):
        path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        try:
            load_language(path)
        except InputError:
            pass
print("alive")
"""


@pytest.mark.parametrize("name", SAME)
def test_a_damaged_header_never_ends_the_process(name, tmp_path):
    command = [sys.executable, "-c", DAMAGE, str(FILES / name), str(tmp_path / "damaged")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "alive\n"


def test_without_the_module_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(UsageError, match=r"pip install 'asradapt\[lm\]'; or give the ARPA file"):
        load_language(FILES / "small_trie.bin")
