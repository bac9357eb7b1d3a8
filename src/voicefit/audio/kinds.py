"""What a file is, told by its first bytes: names lie, as those of browsers' uploads and of messengers do."""

import codecs
from dataclasses import dataclass
from typing import BinaryIO

_HEAD = 4096
"""So many bytes are looked at."""

_MPEG_LAYERS = {1: "III", 2: "II", 3: "I"}


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: a short name, for code.
        title: what it is, for messages, as "an MP4 recording".
        demuxer: FFmpeg's name of the format; empty if FFmpeg is not asked.
        sound: whether it may hold sound.
        advice: what to do about a file that holds none, or that nothing reads.
        plain: whether libsndfile reads most files of this kind.
    """

    name: str
    title: str
    demuxer: str = ""
    sound: bool = True
    advice: str = ""
    plain: bool = False


_CONVERT = "convert it to WAV or FLAC"

WAV = Kind("wav", "a WAV recording", "wav", plain=True)
AIFF = Kind("aiff", "an AIFF recording", "aiff", plain=True)
FLAC = Kind("flac", "a FLAC recording", "flac", plain=True)
OGG = Kind("ogg", "an Ogg recording", "ogg", plain=True)
MP3 = Kind("mp3", "an MP3 recording", "mp3", plain=True)
GSM = Kind("gsm", "a GSM recording", "gsm", plain=True)
MP4 = Kind("mp4", "an MP4 or M4A recording", "mov")
MATROSKA = Kind("matroska", "a WebM or Matroska recording", "matroska")
ASF = Kind("asf", "a WMA recording", "asf")
AMR = Kind("amr", "an AMR recording", "amr")
AAC = Kind("aac", "an AAC recording", "aac")
UNKNOWN = Kind("unknown", "a file of an unknown kind", plain=True)
EMPTY = Kind("empty", "an empty file", sound=False, advice="record or copy it again")

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"\x1aE\xdf\xa3", MATROSKA),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), ASF),
    (b"#!AMR", AMR),
    (b"ADIF", AAC),
    (b".snd", Kind("au", "an AU recording", "au", plain=True)),
    (b"caff", Kind("caf", "a CAF recording", "caf", plain=True)),
    (bytes.fromhex("726966662e91cf11"), Kind("w64", "a Wave64 recording", "w64", plain=True)),
    (b"NIST_1A", Kind("nist", "a SPHERE recording", "nistsphere", plain=True)),
    (b"Creative Voice File", Kind("voc", "a VOC recording", "voc", plain=True)),
    (b"FLV", Kind("flv", "an FLV recording", "flv")),
    (b"wvpk", Kind("wv", "a WavPack recording", "wv")),
    (b"MAC ", Kind("ape", "a Monkey's Audio recording", "ape")),
    (b"TTA1", Kind("tta", "a TTA recording", "tta")),
    (b"MPCK", Kind("mpc", "a Musepack recording", "mpc8")),
    (b"MP+", Kind("mpc", "a Musepack recording", "mpc")),
    (b"DSD ", Kind("dsf", "a DSF recording", "dsf")),
    (b".RMF", Kind("rm", "a RealMedia recording", "rm")),
    (b"\x00\x00\x01\xba", Kind("mpeg", "an MPEG recording", "mpeg")),
    (b"\x02dss", Kind("dss", "a dictation", "dss")),
    (b"\x03ds2", Kind("dss", "a dictation", advice="convert it to WAV with the recorder's own software")),
    (b"#!iLBC", Kind("ilbc", "an iLBC recording", "ilbc")),
    (b"#!SILK", Kind("silk", "a SILK recording, as WeChat makes them", advice=f"{_CONVERT} with a SILK decoder")),
    (b"\x02#!SILK", Kind("silk", "a SILK recording, as WeChat makes them", advice=f"{_CONVERT} with a SILK decoder")),
    (b"MThd", Kind("midi", "MIDI: notes, no sound", sound=False, advice="record the sound")),
    (
        b"version https://git-lfs.github.com/spec",
        Kind("lfs", "a Git LFS pointer, not the recording itself", sound=False, advice="run `git lfs pull`"),
    ),
    (
        b"/annex/objects/",
        Kind("annex", "a git-annex pointer, not the recording itself", sound=False, advice="run `git annex get`"),
    ),
    (b"PK\x03\x04", Kind("zip", "a ZIP archive", sound=False, advice="unpack it")),
    (b"\x1f\x8b", Kind("gzip", "a packed file", sound=False, advice="unpack it")),
    (b"7z\xbc\xaf", Kind("7z", "a 7z archive", sound=False, advice="unpack it")),
    (b"Rar!", Kind("rar", "a RAR archive", sound=False, advice="unpack it")),
    (b"\x89PNG", Kind("picture", "a picture", sound=False, advice="give a recording")),
    (b"\xff\xd8\xff", Kind("picture", "a picture", sound=False, advice="give a recording")),
    (b"GIF8", Kind("picture", "a picture", sound=False, advice="give a recording")),
    (b"%PDF", Kind("pdf", "a PDF document", sound=False, advice="give a recording")),
    (b"\x7fELF", Kind("program", "a program", sound=False, advice="give a recording")),
)

_WEB_PAGE = Kind("page", "a web page, perhaps of a failed download", sound=False, advice="download it again")
_TEXT = Kind("text", "text", sound=False, advice="give a recording")
_ZEROS = Kind("zeros", "nothing but zeros: it was not copied whole", sound=False, advice="copy it again")

_RIFF = {
    b"WAVE": WAV,
    b"AVI ": Kind("avi", "an AVI recording", "avi"),
    b"QLCM": Kind("qcp", "a QCELP recording", "qcp"),
    b"RMID": Kind("midi", "MIDI: notes, no sound", sound=False, advice="record the sound"),
    b"WEBP": Kind("picture", "a picture", sound=False, advice="give a recording"),
}

_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp"})
"""An MP4 or QuickTime file begins with one of these boxes."""


def kind_of(file: BinaryIO) -> Kind:
    """Tell what a file is; it is then at its start."""
    head = _head(file, 0)
    offset = 0
    while head[:3] == b"ID3" and len(head) > 10:  # a tag, before MP3 and AAC, and sometimes FLAC and others
        offset += 10 + _syncsafe(head[6:10])
        head = _head(file, offset)
        if not head:
            return MP3
    found = _by_magic(head) or _by_frames(head) or _by_look(head)
    file.seek(0)
    return MP3 if found is UNKNOWN and offset else found


def is_recording(file: BinaryIO) -> bool:
    """Whether the first bytes are surely those of a recording, or of the pointer to one."""
    kind = kind_of(file)
    return kind is not UNKNOWN and (kind.sound or kind.name in ("lfs", "annex"))


def _head(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    return file.read(_HEAD)


def _syncsafe(number: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(number, (21, 14, 7, 0), strict=True))


def _by_magic(head: bytes) -> Kind | None:
    if not head:
        return EMPTY
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") and 0 in head[2:4]:  # UTF-16, which looks like the start of an MP3
        return _TEXT
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FFIR"):
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return AIFF
    if head[4:8] in _BOXES:
        return MP4
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def _by_frames(head: bytes) -> Kind | None:
    """Formats without a header, which are frames from the first byte on."""
    if len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        if head[1] & 0xF6 == 0xF0:
            return AAC
        layer, rate, bits = head[1] >> 1 & 3, head[2] >> 2 & 3, head[2] >> 4
        if layer in _MPEG_LAYERS and rate != 3 and bits != 15 and head[1] >> 3 & 3 != 1:
            return MP3
    if head[:2] == b"\x0b\x77":
        return Kind("ac3", "an AC-3 recording", "ac3")
    if len(head) >= 3 and head[0] == 0x56 and head[1] & 0xE0 == 0xE0:
        return Kind("loas", "an AAC recording", "loas")
    if len(head) > 3 * 188 and head[0] == head[188] == head[376] == 0x47:
        return Kind("mpegts", "an MPEG transport stream", "mpegts")
    if len(head) >= 4 * 33 and all(byte >> 4 == 0xD for byte in head[::33]):
        return GSM
    return None


def _by_look(head: bytes) -> Kind:
    """Files that are no recordings, told by what is in them."""
    if not any(head):
        return _ZEROS
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head", b"<body")):
        return _WEB_PAGE
    control = bytes(range(9)) + bytes(range(14, 32))
    if head.translate(None, control) != head:
        return UNKNOWN
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # which lets a character be cut at the end
    except UnicodeDecodeError:
        return UNKNOWN
    return _TEXT
