"""ARPAbet, the phones of English as cmudict writes them: vowels end in a stress digit, consonants do not."""

from __future__ import annotations

Phones = tuple[str, ...]

VOWELS = frozenset(("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"))
VOICELESS = frozenset(("P", "T", "K", "CH", "F", "TH", "S", "SH", "HH"))
OBSTRUENTS = VOICELESS | frozenset(("B", "D", "G", "JH", "V", "DH", "Z", "ZH"))
SONORANTS = frozenset(("M", "N", "NG", "L", "R", "W", "Y"))
CONSONANTS = OBSTRUENTS | SONORANTS
ARPABET = VOWELS | CONSONANTS


def plain(phone: str) -> str:
    """The phone without its stress digit."""
    return phone.rstrip("012")


def stress(phone: str) -> str:
    """The stress digit of a vowel, `` of a consonant."""
    return phone[len(plain(phone)) :]


def is_vowel(phone: str) -> bool:
    """Whether it is the nucleus of a syllable."""
    return plain(phone) in VOWELS
