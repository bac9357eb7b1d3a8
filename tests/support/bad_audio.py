"""Files that are not the audio they claim to be, as people and attackers send them: name → bytes."""

import io
import struct
from collections.abc import Iterator

import numpy as np
import soundfile

from support.tiny_models import make_waveform


def encode(samples: np.ndarray, rate: int = 16_000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """Samples as a file of a format that libsndfile writes."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def bad_files() -> dict[str, bytes]:
    """Every one of them must be refused, in one line."""
    return dict(pair for part in (_not_audio(), _cut(), _bad_headers(), _bad_samples()) for pair in part)


def odd_files() -> dict[str, bytes]:
    """Real clips under names that try to leave the folder, or to be something else; they are heard all the same."""
    clip = encode(make_waveform(0.3))
    names = (
        "../../etc/passwd.wav",
        "..\\..\\windows\\system32.wav",
        "/etc/shadow.wav",
        "a\x00b.wav",
        "‮vaw.exe",
        "x" * 400 + ".wav",
        "clip.wav; rm -rf ~",
        "<img src=x onerror=alert(1)>.wav",
        "$(reboot).wav",
        "CON.wav",
        ".wav",
        "no suffix",
        "a\nb.wav",
        "%2e%2e%2fclip.wav",
        "file:///etc/passwd",
    )
    return dict.fromkeys(names, clip)


def _not_audio() -> Iterator[tuple[str, bytes]]:
    noise = np.random.default_rng(0).bytes(5000)
    yield from {
        "nothing.wav": b"",
        "one-byte.wav": b"R",
        "zeros.wav": bytes(10_000),
        "text.wav": b"this is not audio\n" * 50,
        "page.mp3": b"<!doctype html><html><body>404</body></html>",
        "noise.wav": noise,
        "noise.flac": noise,
        "noise.ogg": noise,
        "picture.wav": b"\x89PNG\r\n\x1a\n" + noise,
        "program.wav": b"\x7fELF\x02\x01\x01" + noise,
        "archive.wav": b"PK\x03\x04" + noise,
        "packed.wav": b"\x1f\x8b\x08" + noise,
        "pickle.wav": b"\x80\x04\x95" + noise,
        "video.wav": b"\x00\x00\x00\x20ftypisom" + noise,
        "webm.wav": b"\x1aE\xdf\xa3" + noise,
        "playlist.wav": b"#EXTM3U\nhttp://127.0.0.1:1/a.wav\n",
        "link.wav": b"file:///etc/passwd",
        "json.wav": b'{"probabilities": {}}',
        "null-magic.wav": b"\x00\x00\x00\x00WAVEfmt " + noise,
        "magic-alone.wav": b"RIFF",
        "magic-alone.flac": b"fLaC",
        "magic-alone.ogg": b"OggS",
        "magic-alone.mp3": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
        "magic-alone.aiff": b"FORM\x7f\xff\xff\xffAIFF",
        "magic-alone.au": b".snd\x00\x00\x00\x18",
        "magic-alone.caf": b"caff\x00\x01\x00\x00",
    }.items()


def _cut() -> Iterator[tuple[str, bytes]]:
    for kind, subtype in (
        ("WAV", None),
        ("FLAC", None),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("AIFF", None),
        ("MP3", None),
    ):
        whole = encode(make_waveform(0.5), kind=kind, subtype=subtype)
        for size in (8, 20, 40):
            yield f"cut-{size}-{subtype or kind}.{kind.lower()}", whole[:size]
    flac = encode(make_waveform(2.0), kind="FLAC")
    yield "half.flac", flac[: len(flac) // 2]


def _bad_headers() -> Iterator[tuple[str, bytes]]:
    noise = np.random.default_rng(1).bytes(20_000)
    yield "no-channels.wav", wav(noise, channels=0)
    yield "channels-64.wav", encode(np.zeros((2000, 64)))
    yield "channels-65535.wav", wav(noise, channels=65_535)
    yield "no-rate.wav", wav(noise, rate=0)
    yield "rate-1.wav", encode(make_waveform(0.5), rate=1)
    yield "rate-768k.wav", encode(make_waveform(0.5), rate=768_000)
    yield "rate-4g.wav", wav(noise, rate=2**32 - 1)
    yield "no-bits.wav", wav(noise, bits=0)
    yield "bits-13000.wav", wav(noise, bits=13_000)
    yield "codec-unknown.wav", wav(noise, codec=0x7777)
    yield "codec-adpcm-nonsense.wav", wav(noise, codec=2)
    yield "no-data.wav", wav(b"")
    yield "header-longer-than-file.wav", b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff" + noise
    yield "chunks-without-end.wav", b"RIFF\xff\xff\xff\x7fWAVE" + b"JUNK\x00\x00\x00\x00" * 50_000
    yield "huge-list.wav", b"RIFF\xff\xff\xff\x7fWAVELIST\xf0\xff\xff\x7f" + noise
    flac = bytearray(encode(make_waveform(0.5), kind="FLAC"))
    flac[21] |= 0x0F
    flac[22:26] = b"\xff" * 4
    yield "billions-of-samples.flac", bytes(flac)
    au = struct.pack(">4sIIIII", b".snd", 24, 0xFFFFFFFF, 3, 16_000, 1024)
    yield "channels-1024.au", au + noise
    yield "rate-2g.au", struct.pack(">4sIIIII", b".snd", 24, 0xFFFFFFFF, 3, 2**31 - 1, 1) + noise


def _bad_samples() -> Iterator[tuple[str, bytes]]:
    for name, value in (("nan", np.nan), ("inf", np.inf), ("minus-inf", -np.inf), ("1e30", 1e30), ("-3e38", -3e38)):
        samples = make_waveform(0.5)
        samples[100] = value
        yield f"sample-{name}.wav", encode(samples, subtype="FLOAT")
    yield "all-nan.wav", encode(np.full(8000, np.nan), subtype="FLOAT")
    yield "double-1e300.wav", encode(np.full(8000, 1e300), subtype="DOUBLE")
    yield "one-sample.wav", encode(np.zeros(1))
    yield "24-ms.wav", encode(make_waveform(0.024))


def silence(hours: float, channels: int = 1) -> bytes:
    """Digital silence as FLAC at 4 kHz, which needs a few bytes a block: hours in some hundred kilobytes."""
    file = io.BytesIO()
    block = np.zeros((4_000 * 60, channels), np.int16)
    with soundfile.SoundFile(file, "w", 4_000, channels, format="FLAC", compression_level=0.0) as out:
        for _ in range(round(hours * 60)):
            out.write(block)
    return file.getvalue()


def wav(data: bytes, channels: int = 1, rate: int = 16_000, bits: int = 16, codec: int = 1) -> bytes:
    """A WAV file whose header says what it is told."""
    align = min(65_535, channels * bits // 8)
    header = struct.pack("<HHIIHH", codec, channels, rate, min(rate * align, 2**32 - 1), align, bits)
    chunks = b"fmt " + struct.pack("<I", len(header)) + header + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
