"""Enrolled speakers for a process that runs for long: their adaptations as one source model can use them.

Every adaptation is read once, and again when another one is current; what cannot be used is said once. Who was not
asked for the longest leaves the memory first, where it is short. Threads take turns.
"""

from __future__ import annotations

from asradapt.adaptation import create
from asradapt.adaptation.mixed import IDENTITY, KeptMembers, Member, MixedBank
from asradapt.decoding import unwritable
from asradapt.errors import AsradaptError, DamagedSpeaker, InvalidSpeakerName, SourceMismatch, UnknownName
from asradapt.models.base import SourceModel, without_ctc, writes
from asradapt.models.turns import Turn
from asradapt.phrases import Phrases
from asradapt.store import SpeakerRecord, SpeakerStore, Vocabularies, another_source, check_source, options_for
from asradapt.store.vocabulary import Stamp
from asradapt.wording import cannot_write

STRANGERS_KEPT = 100_000  # speakers who are not enrolled and need not be looked up again
NOBODY = Member(IDENTITY, {}, {})
NOT_ENROLLED = "is not enrolled"


class Asked:
    """Who was asked for in one run, which looks everybody up once and so, by itself, hears nobody in two ways.

    Where another run at the same time finds something newer, both use it from then on.
    """

    def __init__(self) -> None:
        self.strangers: set[str] = set()
        self.known: set[str] = set()


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
        self._stamps: dict[str, Stamp | None] = {}  # by speaker, of the version that all this is about
        self._turn = Turn()

    def member(self, speaker: str) -> Member:
        """The stored adaptation of a speaker, read once and again when another version is current.

        Raises:
            UnknownName: If the speaker is not enrolled.
            SourceMismatch: If the adaptation was made for another source model.
            DamagedSpeaker: If its files are broken, or its tensors do not fit its method.
            StoreError: If its method is not loaded.
        """
        with self._turn:
            self._renew(speaker)
            return self._member(speaker)

    def _renew(self, speaker: str) -> None:
        """Forget all about a speaker of whom another version is current than when it was read, or none."""
        if self._store is None or speaker not in self._stamps:
            return
        if self._store.version_stamp(speaker) != self._stamps[speaker]:
            del self._stamps[speaker]
            self._refused.pop(speaker, None)
            self._told.pop(speaker, None)
            self._unheard.discard(speaker)
            self.kept.drop(speaker)

    def _member(self, speaker: str) -> Member:
        if self._store is None:
            raise UnknownName("speaker", speaker, [], "There is no store")
        if speaker in self._refused:  # every row of a manifest asks again
            raise SourceMismatch(self._refused[speaker])
        if kept := self.kept.get(speaker):
            return kept
        stamp = self._store.version_stamp(speaker)  # before it is read, so that no change is missed
        stored = self._store.load(speaker)
        self._stamps[speaker] = stamp
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

    def or_nobody(self, speaker: str | None, asked: Asked, warnings: list[str]) -> Member:
        """The speaker's adaptation, or none; who is not enrolled is warned of once in a run."""
        if not speaker or self._store is None or speaker in asked.strangers:
            return NOBODY
        with self._turn:
            return self._found(speaker, asked, warnings)

    def _found(self, speaker: str, asked: Asked, warnings: list[str]) -> Member:
        try:
            if speaker not in asked.known:
                self._renew(speaker)
            member = self._member(speaker)
            asked.known.add(speaker)
            if told := self._told.pop(speaker, None):
                warnings.append(told)
            self._unheard_phrases(speaker, member, warnings)
            return member
        except (UnknownName, InvalidSpeakerName):
            if len(asked.strangers) < STRANGERS_KEPT:
                asked.strangers.add(speaker)
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
        with self._turn:
            return self._vocabularies.of(speaker)
