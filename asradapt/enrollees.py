"""Enrolled speakers for a process that runs for long: their adaptations as one source model can use them.

Every adaptation is read once, and what cannot be used is said once. Who was not asked for the longest leaves the
memory first, where it is short.
"""

from __future__ import annotations

from asradapt.adaptation import create
from asradapt.adaptation.mixed import IDENTITY, KeptMembers, Member, MixedBank
from asradapt.decoding import unwritable
from asradapt.errors import AsradaptError, DamagedSpeaker, InvalidSpeakerName, SourceMismatch, UnknownName
from asradapt.models.base import SourceModel, without_ctc, writes
from asradapt.phrases import Phrases
from asradapt.store import SpeakerRecord, SpeakerStore, Vocabularies, another_source, check_source, options_for
from asradapt.wording import cannot_write

STRANGERS_KEPT = 100_000  # speakers who are not enrolled and need not be looked up again
NOBODY = Member(IDENTITY, {}, {})
NOT_ENROLLED = "is not enrolled"


class Enrollees:
    """The speakers of a store, for one source model.

    Args:
        model: The source model.
        store: Where adaptations come from; None knows nobody.
        bank: What the adaptations will be attached by; it checks that they fit.
        listens: Whether phrases are listened for at all.

    Attributes:
        kept: The adaptations in memory.
    """

    def __init__(
        self, model: SourceModel, store: SpeakerStore | None, bank: MixedBank, *, listens: bool = False
    ) -> None:
        self._model, self._store, self._bank, self._listens = model, store, bank, listens
        self.kept = KeptMembers()
        self._vocabularies = Vocabularies(store)
        self._unheard: set[str] = set()  # speakers of whose vocabulary was said what the model has no use for
        self._refused: dict[str, str] = {}  # by speaker, why an adaptation cannot be used with the model
        self._told: dict[str, str] = {}  # by speaker, what is still to be said of whoever keeps another source

    def member(self, speaker: str) -> Member:
        """The stored adaptation of a speaker, read once.

        Raises:
            UnknownName: If the speaker is not enrolled.
            SourceMismatch: If the adaptation was made for another source model.
            DamagedSpeaker: If its files are broken, or its tensors do not fit its method.
        """
        if self._store is None:
            raise UnknownName("speaker", speaker, [], "There is no store")
        if speaker in self._refused:  # every row of a manifest asks again
            raise SourceMismatch(self._refused[speaker])
        if kept := self.kept.get(speaker):
            return kept
        stored = self._store.load(speaker)
        record = stored.record
        self._check_source(record)
        member = Member(record.method, record.options, stored.tensors)
        try:
            self._bank.check(member)
        except (AsradaptError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            # here, so that only the files of this speaker fail
            raise DamagedSpeaker(f"speaker {speaker!r}: {error}") from error
        self.kept.add(speaker, member)
        return member

    def _check_source(self, record: SpeakerRecord) -> None:
        """Refuse an adaptation of another model; whoever keeps the source fits every model, but is told of it."""
        if record.method != IDENTITY:
            try:
                check_source(record, self._model.name, self._model.fingerprint)
            except SourceMismatch as error:
                self._refused[record.speaker] = str(error)
                raise
        elif other := another_source(record, self._model.name, self._model.fingerprint):
            told = f"; {options_for(record)} gives that one" if options_for(record) else ""
            self._told[record.speaker] = f"{record.speaker} keeps the source, and {other}{told}"

    def or_nobody(self, speaker: str | None, strangers: set[str], warnings: list[str]) -> Member:
        """The speaker's adaptation, or none; who is not enrolled is added to `strangers` and warned of once."""
        if not speaker or self._store is None or speaker in strangers:
            return NOBODY
        try:
            member = self.member(speaker)
            if told := self._told.pop(speaker, None):
                warnings.append(told)
            self._unheard_phrases(speaker, member, warnings)
            return member
        except (UnknownName, InvalidSpeakerName):
            if len(strangers) < STRANGERS_KEPT:
                strangers.add(speaker)
            warnings.append(f"{speaker} {NOT_ENROLLED}: the source model is used")
            return NOBODY

    def _unheard_phrases(self, speaker: str, member: Member, warnings: list[str]) -> None:
        """Warn once of a vocabulary that the model has no use for, or of phrases in it that it cannot write."""
        if speaker in self._unheard or not (self._listens or writes(self._model)):
            return
        phrases = self._vocabularies.of(speaker)
        if phrases and writes(self._model):
            warnings.append(without_ctc(self._model, f"the vocabulary of {speaker} is not used: it"))
        elif phrases:
            methods = () if member.method == IDENTITY else create(member.method, member.options)
            tokens = (*self._model.tokens, *(token for method in methods for token in method.added))
            if lost := unwritable(phrases, tokens):
                warnings.append(f"{speaker}: {cannot_write(lost)}")
        self._unheard.add(speaker)

    def phrases(self, speaker: str | None) -> Phrases:
        """What a speaker's vocabulary holds now; nothing for who is not enrolled."""
        return self._vocabularies.of(speaker)
