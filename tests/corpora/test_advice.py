import numpy as np
import soundfile

from support.layouts import write_noise
from voicefit.corpora import load_corpus
from voicefit.corpora.advice import advice
from voicefit.corpora.check import check_corpus


def test_what_is_odd_is_said_in_plain_words(tmp_path):
    write_noise(tmp_path / "sad" / "good.wav", 1, seconds=1.0)
    write_noise(tmp_path / "sad" / "long.wav", 2, seconds=6.0)
    (tmp_path / "sad" / "broken.wav").write_bytes(b"not audio")
    quiet = 1e-4 * np.sin(np.arange(3200) / 5)
    soundfile.write(tmp_path / "sad" / "3.wav", quiet, 16_000, subtype="FLOAT")
    loud = np.clip(5 * np.sin(np.arange(16_000) / 20), -1, 1)
    soundfile.write(tmp_path / "sad" / "loud.wav", loud, 16_000, subtype="FLOAT")
    (tmp_path / "glad").mkdir()
    (tmp_path / "glad" / "same.wav").write_bytes((tmp_path / "sad" / "good.wav").read_bytes())
    found = advice(check_corpus(load_corpus("folder", tmp_path)), max_seconds=5)
    assert found == {
        "sad/3.wav": "is 0.2 s long and nearly silent",
        "sad/good.wav": "is a copy: same samples as glad/same.wav, which is labelled glad, this one sadness",
        "sad/long.wav": "is 6.0 s long, of which the first 5 s are used",
        "sad/loud.wav": "is overdriven (record it again, further from the microphone)",
    }
