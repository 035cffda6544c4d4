"""Tiny folders in the layouts of the corpora."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from layouts import sound, text


@pytest.fixture
def l2arctic(tmp_path):
    for speaker in ("ABA", "BWC", "ASI", "NJS", "XYZ"):
        for number in range(1, 7):
            sound(tmp_path / speaker / "wav" / f"arctic_a000{number}.wav")
            text(
                tmp_path / speaker / "transcript" / f"arctic_a000{number}.txt",
                f"Sentence number {number}, read.\n",
            )
    sound(tmp_path / "ABA" / "wav" / "arctic_b0001.wav")  # no transcript
    sound(tmp_path / "suitcase_corpus" / "wav" / "aba.wav")
    text(tmp_path / "suitcase_corpus" / "transcript" / "aba.txt", "A boy lost his suitcase.\n")
    return tmp_path


@pytest.fixture
def torgo(tmp_path):
    prompts = [
        "stick",
        "Except in the winter.",
        "tear [as in tear up]",
        "[say Ah-P-Eee repeatedly]",
        "input/images/1.jpg",
        "xxx",
    ]
    for folder, speaker, mic in (
        ("F", "F01", "wav_headMic"),
        ("MC", "MC02", "wav_arrayMic"),
        ("", "M03", "wav_headMic"),
    ):
        session = tmp_path / folder / speaker / "Session1"
        for number, prompt in enumerate(prompts):
            sound(session / mic / f"{number:04d}.wav")
            sound(session / "wav_arrayMic" / f"{number:04d}.wav")
            text(session / "prompts" / f"{number:04d}.txt", prompt + "\n")
    (tmp_path / "F" / "F01" / "Session2").mkdir()
    return tmp_path


@pytest.fixture
def uaspeech(tmp_path):
    for speaker in ("M04", "CF02"):
        lines = ["#!MLF!#"]
        for block in ("B1", "B2", "B3"):
            for code, word in (("D1", "ONE"), ("CW12", "THE"), ("UW7", f"WORD{block}")):
                for mic in ("M5", "M6"):
                    name = f"{speaker}_{block}_{code}_{mic}"
                    sound(tmp_path / "audio" / speaker / f"{name}.wav")
                    lines += [f'"*/{name}.lab"', word, "."]
        text(tmp_path / "mlf" / speaker / f"{speaker}_word.mlf", "\n".join(lines))
    return tmp_path


@pytest.fixture
def commonvoice(tmp_path):
    rows = ["client_id\tpath\tsentence\tage\tgender\taccents"]
    for client, clips in (("a" * 128, 20), ("b" * 128, 21), ("c" * 128, 3)):
        for number in range(clips):
            name = f"{client[0]}{number}.mp3"
            (tmp_path / "clips").mkdir(exist_ok=True)
            soundfile.write(tmp_path / "clips" / name, np.zeros(8000), 16_000, format="MP3")
            rows.append(f'{client}\t{name}\tHe said "number" {number}.\tthirties\tfemale\tIndia')
    text(tmp_path / "validated.tsv", "\n".join(rows))
    return tmp_path


@pytest.fixture
def audiomnist(tmp_path):
    for speaker in ("01", "02"):
        for digit in (0, 7):
            for take in (0, 9, 10, 49):
                sound(tmp_path / "data" / speaker / f"{digit}_{speaker}_{take}.wav")
    meta = {
        "01": {"accent": "German", "age": 30, "gender": "male"},
        "02": {"accent": "German", "age": "1234", "gender": "male"},  # as the real table has it of one person
    }
    text(tmp_path / "data" / "audioMNIST_meta.txt", json.dumps(meta))
    return tmp_path


@pytest.fixture
def speech_accent_archive(tmp_path):
    text(tmp_path / "reading-passage.txt", "Please call Stella.")
    rows = ["age,age_onset,birthplace,filename,native_language,sex,speakerid,country,file_missing?"]
    for number, (language, sex) in enumerate((("Arabic", "male"), ("Dutch", "famale"))):
        rows.append(f'{20 + number}.0,5.0,"x, y",{language.lower()}1,{language},{sex},{number},z,FALSE')
        path = tmp_path / "recordings" / "recordings" / f"{language.lower()}1.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(16_000), 16_000, format="MP3")
    rows.append("20,5,z,thai1,Thai,male,3,z,TRUE")
    rows.append("0.0,0.0,,synthesized1,synthesized,male,4,,FALSE")
    soundfile.write(path.with_name("synthesized1.mp3"), np.zeros(16_000), 16_000, format="MP3")
    text(tmp_path / "speakers_all.csv", "\n".join(rows))
    return tmp_path
