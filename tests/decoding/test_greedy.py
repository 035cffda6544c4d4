from __future__ import annotations

import pytest
import torch

from asradapt.decoding import BLANK, best_path, greedy_decode

TOKENS = ("<blank>", " ", "a", "b", "c")


def logits_of(paths: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (B, F, V) whose best tokens are the given paths, and their lengths."""
    frames = max(1, *map(len, paths))
    logits = torch.zeros(len(paths), frames, len(TOKENS))
    for row, path in enumerate(paths):
        for frame, token in enumerate(path):
            logits[row, frame, token] = 1.0
    return logits, torch.tensor([len(path) for path in paths])


def brute_force(logits: list[list[float]], tokens: tuple[str, ...]) -> str:
    """One row, one frame at a time, as the definition says."""
    text, last = "", None
    for frame in logits:
        best = frame.index(max(frame))
        if best != last and best != 0:
            text += tokens[best]
        last = best
    return " ".join(word for word in text.split(" ") if word)


@pytest.mark.parametrize("seed", range(20))
def test_greedy_equals_the_definition_on_random_logits(seed):
    generator = torch.Generator().manual_seed(seed)
    rows, frames = 1 + seed % 7, 1 + 5 * seed
    logits = torch.randn(rows, frames, len(TOKENS), generator=generator)
    logits = logits + 2 * logits[:, torch.arange(frames) // 3]  # so that tokens also last
    lengths = torch.randint(0, frames + 1, (rows,), generator=generator)
    expected = [brute_force(row[:n].tolist(), TOKENS) for row, n in zip(logits, lengths.tolist(), strict=True)]
    assert greedy_decode(logits, lengths, TOKENS) == expected


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([], ""),
        ([0, 0, 0], ""),
        ([1, 1, 0, 1], ""),
        ([2, 2, 2], "a"),
        ([2, 0, 2], "aa"),
        ([0, 2, 2, 0, 0, 3], "ab"),
        ([2, 1, 3], "a b"),
        ([1, 2, 1, 0, 1, 3, 1], "a b"),
        ([2, 3, 2, 3], "abab"),
        ([4], "c"),
    ],
)
def test_blanks_repeats_and_spaces(path, text):
    logits, lengths = logits_of([path, [3, 3]])
    assert greedy_decode(logits, lengths, TOKENS) == [text, "b"]


def test_what_lies_behind_a_row_is_ignored():
    logits, _ = logits_of([[2, 3, 4, 4], [2, 3, 4, 4]])
    assert greedy_decode(logits, torch.tensor([4, 2]), TOKENS) == ["abc", "ab"]


def test_rows_without_frames_are_empty_texts():
    logits, _ = logits_of([[2, 3], [4, 4]])
    assert greedy_decode(logits, torch.tensor([0, 0]), TOKENS) == ["", ""]
    assert greedy_decode(logits[:0], torch.tensor([], dtype=torch.int64), TOKENS) == []


def test_the_best_path_says_which_frames_emit():
    logits, lengths = logits_of([[2, 2, 0, 2, 3], [0, 4, 4]])
    best, emits = best_path(logits, lengths)
    assert best[0].tolist() == [2, 2, 0, 2, 3]
    assert emits.tolist() == [[True, False, False, True, True], [False, True, False, False, False]]


def test_the_blank_comes_first():
    assert BLANK == 0
