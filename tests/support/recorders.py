"""Forty recordings as phones, browsers, messengers, call centres and field recorders make them: `recordings(folder)`.

FFmpeg's encoders, which PyAV brings, and libsndfile's make them. Each is three seconds of a tone, or says why not.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

SECONDS = 3.0
PITCH = 440.0


@dataclass(frozen=True)
class Expected:
    """What is to become of a recording: so many seconds of the tone, or an error with these words.

    `remark` is in what is told about one that is read.
    """

    seconds: float = SECONDS
    error: str = ""
    remark: str = ""


def tone(rate: int = 48_000, seconds: float = SECONDS, pitch: float = PITCH, peak: float = 0.4) -> np.ndarray:
    """A tone with two overtones."""
    time = np.arange(round(seconds * rate)) / rate
    waves = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in (1, 2, 3))
    return (peak * waves / np.abs(waves).max()).astype(np.float32)


def by_ffmpeg(
    codec: str, container: str, rate: int = 48_000, samples: np.ndarray | None = None, **options: str
) -> bytes:
    """Samples ``(samples,)`` or ``(samples, 2)`` at 48 kHz as FFmpeg writes them."""
    import av

    samples = tone() if samples is None else samples
    layout = "mono" if samples.ndim == 1 else "stereo"
    whole = (32_767 * soxr.resample(samples, 48_000, rate)).astype(np.int16).reshape(1, -1)
    file = io.BytesIO()
    with av.open(file, "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        if codec == "wmav2":  # which has no default
            stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout=layout)
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or None
        resampler = av.AudioResampler(stream.codec_context.format.name, layout, rate, size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


def by_libsndfile(kind: str, subtype: str, rate: int, samples: np.ndarray | None = None) -> bytes:
    """Samples as libsndfile writes them."""
    file = io.BytesIO()
    soundfile.write(file, tone(rate) if samples is None else samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def _stopped() -> bytes:
    """A WAV of a recorder that lost its power: its header says that there is nothing."""
    content = bytearray(by_libsndfile("WAV", "PCM_16", 44_100))
    data = content.index(b"data")
    content[4:8] = content[data + 4 : data + 8] = bytes(4)
    return bytes(content)


def _piped_flac() -> bytes:
    content = bytearray(by_libsndfile("FLAC", "PCM_16", 16_000))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def _without_header(content: bytes) -> bytes:
    """An MP3 without its first frame, which tells the length."""
    return content[content.index(b"\xff\xfb", content.index(b"\xff\xfb") + 4) :]


def _call(gap: float = 1.0) -> np.ndarray:
    """Two people who take turns, one in each channel."""
    caller, agent = tone(8000), tone(8000, pitch=PITCH)
    half = round(SECONDS / 2 * 8000)
    return np.stack([np.r_[caller[:half], np.zeros(half)], np.r_[np.zeros(half), agent[half:]]], axis=1)


def _halves(codec: str, container: str, **options: str) -> bytes:
    half = tone(seconds=SECONDS / 2)
    return b"".join(by_ffmpeg(codec, container, samples=half, **options) for _ in range(2))


def _mp3_halves() -> bytes:
    return b"".join(by_libsndfile("MP3", "MPEG_LAYER_III", 44_100, tone(44_100, SECONDS / 2)) for _ in range(2))


Made = dict[str, tuple[Callable[[], bytes], Expected]]


def phones() -> Made:
    """Voice memos, call recorders, cameras."""
    fine = Expected()
    return {
        "memo.m4a": (lambda: by_ffmpeg("aac", "ipod"), fine),
        "lossless.m4a": (lambda: by_ffmpeg("alac", "ipod", 44_100), fine),
        "ringtone.m4r": (lambda: by_ffmpeg("aac", "ipod", 44_100), fine),
        "message.caf": (lambda: by_libsndfile("CAF", "ALAC_16", 44_100), fine),
        "camera.mov": (lambda: by_ffmpeg("aac", "mov"), fine),
        "call.amr": (lambda: by_ffmpeg("libopencore_amrnb", "amr", 8000), fine),
        "recorder.3gp": (lambda: by_ffmpeg("libopencore_amrnb", "3gp", 8000), fine),
        "recorder.3ga": (lambda: by_ffmpeg("libopencore_amrnb", "3gp", 8000), fine),
        "two calls.amr": (lambda: _halves_amr(), fine),
    }


def _halves_amr() -> bytes:
    half = tone(seconds=SECONDS / 2)
    return b"".join(by_ffmpeg("libopencore_amrnb", "amr", 8000, half) for _ in range(2))


def browsers() -> Made:
    """MediaRecorder's blobs, under right names and wrong ones."""
    fine, webm = Expected(), lambda: by_ffmpeg("libopus", "webm")
    return {
        "chrome.webm": (webm, fine),
        "chrome.weba": (webm, fine),
        "live.webm": (lambda: by_ffmpeg("libopus", "webm", live="1"), fine),
        "blob.wav": (webm, fine),
        "blob.mp3": (webm, fine),
        "blob": (webm, fine),
        "safari.mp4": (lambda: by_ffmpeg("aac", "mp4", movflags="frag_keyframe+empty_moov"), fine),
        "safari.wav": (lambda: by_ffmpeg("aac", "mp4"), fine),
        "firefox.ogg": (lambda: by_ffmpeg("libopus", "ogg"), fine),
        "two takes.webm": (lambda: _halves("libopus", "webm"), fine),
    }


def messengers() -> Made:
    """Voice messages."""
    fine = Expected()
    return {
        "PTT-20240101-WA0001.opus": (lambda: by_libsndfile("OGG", "OPUS", 16_000), fine),
        "PTT-20240101-WA0002": (lambda: by_libsndfile("OGG", "OPUS", 48_000), fine),
        "telegram.oga": (lambda: by_ffmpeg("libopus", "ogg"), fine),
        "signal.aac": (lambda: by_ffmpeg("aac", "adts", 44_100), fine),
        "wechat.silk": (lambda: b"\x02#!SILK_V3" + bytes(2000), Expected(error="SILK recording, as WeChat makes them")),
        "two messages.ogg": (lambda: _halves("libopus", "ogg"), fine),
    }


def call_centres() -> Made:
    """Telephone exchanges."""
    fine = Expected()
    noise = np.random.default_rng(0).bytes(24_000)
    return {
        "asterisk.wav": (lambda: by_libsndfile("WAV", "GSM610", 8000), fine),
        "asterisk.gsm": (lambda: by_libsndfile("RAW", "GSM610", 8000), fine),
        "u-law.wav": (lambda: by_libsndfile("WAV", "ULAW", 8000), fine),
        "g721.au": (lambda: by_libsndfile("AU", "G721_32", 8000), fine),
        "g722.wav": (lambda: by_ffmpeg("g722", "wav", 16_000), fine),
        "ldc.sph": (lambda: by_libsndfile("NIST", "PCM_16", 8000), fine),
        "voice mail.wma": (lambda: by_ffmpeg("wmav2", "asf", 44_100), fine),
        "both sides.wav": (lambda: by_libsndfile("WAV", "PCM_16", 8000, _call()), Expected(remark="channels differ")),
        "raw.ulaw": (lambda: noise, Expected(error="samples without a header")),
    }


def field_recorders() -> Made:
    """Recorders of fields and studios, and what becomes of their files on the way."""
    fine, opposite = Expected(), np.stack([tone(44_100), -tone(44_100)], axis=1)
    mp3 = by_libsndfile("MP3", "MPEG_LAYER_III", 44_100)
    return {
        "interview.wav": (lambda: by_libsndfile("WAV", "PCM_24", 96_000, np.tile(tone(96_000)[:, None], 4)), fine),
        "cable.wav": (
            lambda: by_libsndfile("WAV", "PCM_16", 44_100, opposite),
            Expected(remark="cancel each other out"),
        ),
        "power lost.wav": (_stopped, fine),
        "pipe.flac": (_piped_flac, fine),
        "no length.mp3": (lambda: _without_header(mp3), fine),
        "joined.mp3": (_mp3_halves, fine),
        "pointer.wav": (
            lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            Expected(error="git lfs pull"),
        ),
        "page.mp3": (lambda: b"<!DOCTYPE html><html>404</html>", Expected(error="a web page")),
    }


def recordings() -> Iterator[tuple[str, bytes, Expected]]:
    """Name, content and what is expected of each of the forty."""
    for made in (phones(), browsers(), messengers(), call_centres(), field_recorders()):
        for name, (make, expected) in made.items():
            yield name, make(), expected


def write(folder: Path) -> dict[str, Expected]:
    """Write all to a folder; return what is expected of each."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, content, expected in recordings():
        (folder / name).write_bytes(content)
        found[name] = expected
    return found
