"""Recordings embedded several at once: in their order, with errors where they belong."""

import io
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from support.bad_audio import encode
from support.tiny_models import BUILDERS, make_waveform
from voicefit.audio import SAMPLE_RATE, STDIN, AudioError
from voicefit.encoders.onnx_encoder import GRAPH, OnnxEncoder
from voicefit.export.encoder import add_graph
from voicefit.prediction import embedding
from voicefit.prediction.embedding import embed_files, in_order, read_recording, reason_of, threads_for


class Length:
    """The vector of a clip is its length; shorter clips take longer."""

    max_seconds, hidden_size = 5.0, 1

    def embed(self, waveform):
        time.sleep(0.02 / len(waveform))
        return np.array([len(waveform)], np.float32)


@pytest.fixture
def several(monkeypatch):
    monkeypatch.setattr(embedding, "threads_for", lambda encoder: 3)


def silent(*_):
    pass


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_answers_come_in_the_order_of_the_items_whichever_is_done_first(threads):
    def act(item):
        time.sleep(0.002 * (item % 3))
        return item, threading.get_ident()

    found = list(in_order(act, range(60), threads))
    assert [item for item, _ in found] == list(range(60))
    assert len({thread for _, thread in found}) <= threads
    assert threads == 1 or len({thread for _, thread in found}) > 1


def test_items_are_worked_on_at_the_same_time():
    barrier = threading.Barrier(2, timeout=20)  # which two threads have to reach
    assert len(list(in_order(lambda item: barrier.wait(), range(2), 2))) == 2


def test_no_more_are_read_ahead_than_a_few_a_thread():
    begun = []
    answers = in_order(lambda item: begun.append(item), range(1000), 2)
    next(answers)
    time.sleep(0.05)
    assert len(begun) <= 2 * embedding._AHEAD + 2
    answers.close()


def test_an_error_that_is_no_audio_error_is_raised_where_its_item_stands_and_ends_the_work():
    done = []

    def act(item):
        if item == 3:
            raise ZeroDivisionError
        done.append(item)
        return item

    answers = in_order(act, range(1000), 2)
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        next(answers)
    assert len(done) < 100


@pytest.mark.usefixtures("several")
def test_files_have_their_vectors_in_order_and_errors_in_place(tmp_path):
    files = []
    for index in range(12):
        files.append(tmp_path / f"{index:02}.wav")
        if index in (2, 7):
            files[-1].write_bytes(b"not audio")
        else:
            soundfile.write(files[-1], make_waveform(0.5 - 0.03 * index), SAMPLE_RATE)
    told = []
    found = list(embed_files(Length(), files, lambda *answer: answer, lambda *progress: told.append(progress)))
    assert [file for file, *_ in found] == files
    assert [index for index, (_, vector, *_) in enumerate(found) if vector is None] == [2, 7]
    for index, (_, vector, error, remark) in enumerate(found):
        if vector is None:
            assert (error, remark) == ("is text, not readable as audio; give a recording", "")
        else:
            assert (vector.tolist(), error, remark) == ([round((0.5 - 0.03 * index) * SAMPLE_RATE)], "", "")
    assert told == [("predicting", done, 12) for done in range(1, 13)]


@pytest.mark.slow(4)
def test_several_threads_give_what_one_gives_to_the_last_bit(tmp_path, monkeypatch):
    folder = BUILDERS["wav2vec2-group-norm"](tmp_path / "encoder")
    add_graph(folder)
    encoder = OnnxEncoder(folder / GRAPH)
    files = [tmp_path / f"{index:02}.wav" for index in range(20)]
    for index, file in enumerate(files):
        soundfile.write(file, make_waveform(0.2 + 0.05 * index, index), SAMPLE_RATE)
    rows = []
    for threads in (1, 4):
        monkeypatch.setattr(embedding, "threads_for", lambda encoder, threads=threads: threads)
        rows.append(np.stack(list(embed_files(encoder, files, lambda file, vector, error, remark: vector, silent))))
    assert np.array_equal(*rows)
    assert len(np.unique(rows[0][:, 0])) == 20


def test_a_graph_takes_a_thread_a_clip_and_pytorch_takes_them_all(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2})
    assert threads_for(object.__new__(OnnxEncoder)) == 3
    assert threads_for(Length()) == 1


def test_standard_input_is_a_recording_and_too_much_of_it_is_refused(monkeypatch):
    content = encode(make_waveform(0.5))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    assert len(read_recording(STDIN).waveform) == SAMPLE_RATE // 2
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    monkeypatch.setattr(embedding, "MAX_STDIN_BYTES", len(content) - 1)
    with pytest.raises(AudioError, match="on standard input; give a file"):
        read_recording(STDIN)


def test_a_reason_does_not_name_the_file_again():
    assert reason_of(AudioError("silent", "a/b.wav: is silent"), Path("a/b.wav")) == "is silent"
    assert reason_of(AudioError("silent", "b.wav: is silent"), Path("a/b.wav")) == "b.wav: is silent"
