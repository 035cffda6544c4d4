"""Enrolment of speakers: checks, cross-validation, gate, final fit."""

from asradapt.enrolment.enroll import enroll
from asradapt.enrolment.options import Enrolled, Enrolment, EnrolmentOptions, Setting

__all__ = ["Enrolled", "Enrolment", "EnrolmentOptions", "Setting", "enroll"]
