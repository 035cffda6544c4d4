"""Enrolment of speakers: checks, cross-validation, gate, final fit."""

from asradapt.enrolment.enroll import enroll
from asradapt.enrolment.options import Enrolled, Enrolment, EnrolmentOptions, Setting
from asradapt.enrolment.self_training import SelfTraining
from asradapt.enrolment.untranscribed import enroll_untranscribed

__all__ = [
    "Enrolled",
    "Enrolment",
    "EnrolmentOptions",
    "SelfTraining",
    "Setting",
    "enroll",
    "enroll_untranscribed",
]
