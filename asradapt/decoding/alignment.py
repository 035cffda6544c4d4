"""Where the tokens of given texts lie: the best CTC alignment of every row of a batch at once.

Letters: B batch, F frames, V tokens, L tokens of the longest text, S states (2 L + 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asradapt.decoding.greedy import BLANK, Emissions, collect

NEVER = -1e30


def align(logits: Tensor, frames: Tensor, texts: Sequence[Sequence[int]]) -> Emissions:
    """The frames of every token of every text in the likeliest alignment (Viterbi 1967, over CTC's states).

    Args:
        logits: (B, F, V); index 0 is the blank.
        frames: (B,) true frame counts.
        texts: For each row its token indices, none of them the blank. A row that has fewer frames than its text
            needs gets no tokens at all.
    """
    rows, count, _ = logits.shape
    longest = max(map(len, texts), default=0)
    if not longest or not count:
        empty = torch.zeros(rows, count, dtype=torch.int64, device=logits.device)
        return collect(empty, empty.bool(), frames, logits.new_zeros(rows, count))
    padded = [[*text, *[BLANK] * (longest - len(text))] for text in texts]
    labels = torch.zeros(rows, 2 * longest + 1, dtype=torch.int64)
    labels[:, 1::2] = torch.tensor(padded)
    labels = labels.to(logits.device)
    ends = torch.tensor([2 * len(text) for text in texts], device=logits.device)
    logp = logits.float().log_softmax(dim=-1)
    states, possible = _states(logp, frames, labels, ends)
    path = labels.gather(1, states)
    moves = torch.diff(torch.nn.functional.pad(states, (1, 0), value=-1), dim=1) > 0
    frames = torch.where(possible, frames, 0)
    inside = torch.arange(count, device=logits.device) < frames[:, None]
    sure = logp.gather(2, path[:, :, None])[:, :, 0].exp()
    return collect(path, moves & (path != BLANK) & inside, frames, sure)


def _states(logp: Tensor, frames: Tensor, labels: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """The state (B, F) of every frame on the best way, and whether there is a way (B,)."""
    rows, count, _ = logp.shape
    size = labels.shape[1]
    sound = logp.gather(2, labels[:, None, :].expand(-1, count, -1))  # (B, F, S)
    other = labels[:, 2:] != labels[:, :-2]
    leaps = torch.nn.functional.pad(other & (labels[:, 2:] != BLANK), (2, 0))  # over a blank
    score = torch.full((rows, size), NEVER, device=logp.device)
    score[:, :2] = sound[:, 0, :2]
    came = torch.zeros(count, rows, size, dtype=torch.uint8, device=logp.device)
    pad = torch.nn.functional.pad
    for frame in range(1, count):
        steps = torch.stack(
            [
                score,
                pad(score[:, :-1], (1, 0), value=NEVER),
                torch.where(leaps, pad(score[:, :-2], (2, 0), value=NEVER), NEVER),
            ]
        )
        best, came_now = steps.max(dim=0)
        live = (frame < frames)[:, None]
        score = torch.where(live, best + sound[:, frame], score)
        came[frame] = torch.where(live, came_now, 0).to(torch.uint8)
    return _back(score, came, ends)


def _back(score: Tensor, came: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the best way from its end: the last blank or the last token."""
    final = torch.stack([ends, (ends - 1).clamp(min=0)], dim=1)
    best, which = score.gather(1, final).max(dim=1)
    state = final.gather(1, which[:, None])[:, 0]
    states = []
    for back in came.flip(0):
        states.append(state)
        state = state - back.gather(1, state[:, None])[:, 0].long()
    return torch.stack(states[::-1], dim=1), best > NEVER / 2
