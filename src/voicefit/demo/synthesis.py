"""Synthetic emotional speech for the demo: five small corpora, made without network or downloads.

espeak, as built into Praat (package ``praat-parselmouth``), speaks plain sentences in several languages and
voices. Each clip is then reshaped to carry an emotion: pitch and tempo by PSOLA, then tilt of the spectrum,
dynamics, onsets, a pause and the level. The cues of anger, fear, happiness, sadness and calm point the way
that Juslin and Laukka found for these (calm: tenderness): "Communication of emotions in vocal expression and
music performance", Psychological Bulletin 129(5), 2003; surprise, boredom and disgust are set by analogy.
Sizes are our choice: one speaker's emotions overlap with another's neutral speech, and habits differ.

The clips show that the software works; they are no evidence about human speech.
"""

import io
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
import scipy.ndimage
import soundfile
import soxr

from voicefit.audio import SAMPLE_RATE
from voicefit.errors import VoicefitError
from voicefit.system.files import new_directory


@dataclass(frozen=True)
class SyntheticSpeaker:
    """A voice, fixed by a few numbers.

    Attributes:
        name: unique within its corpus; the name of the speaker's folder.
        voice: a voice variant of espeak as Praat names it (``Male3``, ``Female1``, …).
        pitch: the centre of the speaker's neutral F0 in hertz.
        formants: factor on all formant frequencies; above 1 for a shorter vocal tract.
        tempo: factor on the neutral speech rate.
        tilt: the voice's own spectral tilt in dB per octave, added to the emotion's.
    """

    name: str
    voice: str
    pitch: float
    formants: float
    tempo: float
    tilt: float


@dataclass(frozen=True)
class SyntheticCorpus:
    """A corpus that can be synthesised.

    Attributes:
        name: the corpus name, lower case.
        language: English name of the language spoken: English, German, Italian, Polish or Spanish.
        speakers: its voices.
        labels: its emotions, words of :data:`voicefit.corpora.corpus.VOCABULARY` other than ``contempt``.
    """

    name: str
    language: str
    speakers: tuple[SyntheticSpeaker, ...]
    labels: tuple[str, ...]


# fmt: off
DEMO_CORPORA: tuple[SyntheticCorpus, ...] = (
    SyntheticCorpus("demo-english", "English", (
        SyntheticSpeaker("edith", "Female1", 205, 1.02, 1.18, 0.8),
        SyntheticSpeaker("grace", "Female2", 178, 0.97, 1.05, -1.0),
        SyntheticSpeaker("harry", "Male1", 118, 1.00, 1.23, -0.4),
        SyntheticSpeaker("walter", "Male4", 96, 0.95, 1.10, 1.2),
    ), ("anger", "calm", "happiness", "neutral", "sadness")),
    SyntheticCorpus("demo-german", "German", (
        SyntheticSpeaker("anke", "Female4", 220, 1.06, 1.12, -0.6),
        SyntheticSpeaker("beate", "Female1", 186, 0.95, 1.25, 1.0),
        SyntheticSpeaker("jens", "Male2", 132, 1.05, 1.03, 0.4),
        SyntheticSpeaker("ulrich", "Male6", 104, 0.98, 1.16, -1.2),
    ), ("anger", "boredom", "fear", "happiness", "neutral", "sadness")),
    SyntheticCorpus("demo-italian", "Italian", (
        SyntheticSpeaker("chiara", "Female2", 212, 1.04, 1.14, 0.2),
        SyntheticSpeaker("lucia", "Female4", 192, 0.98, 1.04, 1.3),
        SyntheticSpeaker("marco", "Male3", 124, 1.02, 1.12, -1.0),
        SyntheticSpeaker("sandro", "Male1", 92, 0.94, 1.01, 0.6),
    ), ("anger", "disgust", "neutral", "sadness", "surprise")),
    SyntheticCorpus("demo-polish", "Polish", (
        SyntheticSpeaker("ewa", "Female1", 198, 1.08, 1.06, -1.3),
        SyntheticSpeaker("zofia", "Female2", 226, 1.01, 1.21, 0.5),
        SyntheticSpeaker("jan", "Male4", 110, 1.04, 1.19, 0.9),
        SyntheticSpeaker("tomasz", "Male3", 138, 0.97, 1.08, -0.3),
    ), ("fear", "happiness", "neutral", "sadness", "surprise")),
)
"""The four pre-finetuning corpora of the demo."""

DEMO_TARGET = SyntheticCorpus("demo-spanish", "Spanish", (
    SyntheticSpeaker("carmen", "Female5", 208, 0.99, 1.20, -0.9),
    SyntheticSpeaker("ines", "Female3", 184, 1.05, 1.06, 0.7),
    SyntheticSpeaker("diego", "Male5", 126, 1.01, 1.15, 1.1),
    SyntheticSpeaker("pablo", "Male7", 101, 0.96, 1.04, -0.5),
), ("anger", "happiness", "neutral", "sadness", "surprise"))
"""The corpus the demo adapts to: a language, voices and sentences that :data:`DEMO_CORPORA` lacks."""

_SENTENCES = {
    "English": ("My coat is in the hall.", "The letter came today.",
                "There is milk in the fridge.", "The window is open now."),
    "German": ("Der Zug fährt um neun.", "Mein Mantel hängt im Flur.",
               "Der Brief kam heute an.", "Wir essen um halb sieben."),
    "Italian": ("Il treno parte alle nove.", "La lettera arriva domani.",
                "Mangiamo alle sette.", "La finestra è aperta."),
    "Polish": ("Obiad jest o drugiej.", "List przyszedł dzisiaj.",
               "Mleko stoi w lodówce.", "Okno jest otwarte."),
    "Spanish": ("El tren sale a las nueve.", "La chaqueta está aquí.", "La carta llegó ayer.",
                "La ventana está abierta.", "El libro es de mi madre."),
}
# fmt: on
"""The sentences of each language; every label is spoken with all of them."""

_ESPEAK_NAMES = {"English": "English (Great Britain)", "Spanish": "Spanish (Spain)"}
"""Languages that have another name in espeak → that name."""


class _Cues(NamedTuple):
    """The differences of a clip from its speaker's neutral speech."""

    pitch: float  # semitones, F0 level
    span: float  # octaves of F0 excursion: 1 doubles the range in semitones
    contour: float  # semitones from the beginning of the clip to its end
    tempo: float  # octaves of speech rate
    level: float  # dB, voice intensity
    dynamics: float  # octaves of intensity excursion in dB
    tilt: float  # dB per octave; positive for more high-frequency energy
    onset: float  # ms of fade-in after silence: short for a sharp voice onset
    jitter: float  # semitones, standard deviation of F0 from one 10 ms frame to the next
    pause: float  # seconds of silence between two words; none below 0.04


_CUES = {
    "anger": _Cues(4.0, 0.6, 2.5, 0.18, 7.0, 0.5, 3.0, -10, 0.20, 0.0),
    "boredom": _Cues(-2.0, -0.9, 1.0, -0.32, -3.0, -0.4, -1.0, 20, 0.0, 0.04),
    "calm": _Cues(-1.5, -0.4, -1.0, -0.20, -4.0, -0.4, -1.8, 30, 0.0, 0.0),
    "disgust": _Cues(-1.5, 0.3, -2.0, -0.18, 1.0, 0.3, 1.2, 0, 0.25, 0.04),
    "fear": _Cues(5.5, -0.5, 2.5, 0.25, -2.0, 0.3, -1.2, -5, 0.50, 0.0),
    "happiness": _Cues(4.5, 0.8, 2.5, 0.12, 4.0, 0.3, 1.2, -10, 0.0, 0.0),
    "neutral": _Cues(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0),
    "sadness": _Cues(-2.0, -0.9, -1.0, -0.25, -6.0, -0.4, -2.5, 45, 0.15, 0.08),
    "surprise": _Cues(5.0, 0.9, 7.0, -0.05, 3.0, 0.3, 0.2, -5, 0.0, 0.0),
}
"""The mean cues of each label."""

_SPREAD = _Cues(1.0, 0.2, 1.0, 0.08, 1.5, 0.15, 0.7, 8, 0.04, 0.03)
"""Each cue varies between the clips of an emotion with this standard deviation."""

_NEUTRAL_ONSET_MS = 15.0
"""Neutral speech fades in over so many milliseconds."""

_NEUTRAL_LEVEL_DB = -25.0
"""Neutral speech has this root mean square level, relative to full scale."""

_NOISE_LEVEL_DB = -68.0
"""The background noise has this root mean square level, relative to full scale."""

_RECIPE_NAME = ".synthesis.json"
"""This file in a corpus records how it was synthesised."""


class _Utterance(NamedTuple):
    """A spoken sentence."""

    samples: np.ndarray  # float64, (samples,) at 16 kHz, without silence at its ends
    word_ends: np.ndarray  # float64, (words,), seconds


class _Model(NamedTuple):
    """An utterance prepared for PSOLA."""

    manipulation: Any  # Praat's Manipulation object
    times: np.ndarray  # (frames,), seconds
    melody: np.ndarray  # (frames,), F0 in semitones about its trend line
    decline: float  # semitones from the beginning of the trend line to its end
    duration: float  # seconds
    word_ends: np.ndarray  # (words,), seconds


def synthesise_corpus(
    corpus: SyntheticCorpus,
    root: Path,
    clips_per_label: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write ``corpus`` as 16 kHz mono FLAC files ``root/<speaker>/<label>/<nn>.flac``.

    The samples depend only on ``corpus`` and ``seed``: not on earlier calls, on global random state, or on
    ``clips_per_label`` (a larger number adds clips and changes none). ``root`` is written completely or not at all. If
    it already holds this corpus, nothing is done. Every label is spoken with the same sentences.

    Args:
        corpus: the corpus to synthesise.
        root: the folder to create.
        clips_per_label: clips for every pair of speaker and label, at least 1.
        seed: seed of the variation between clips, at least 0.
        progress: called after each clip with the number of clips done and of all clips.

    Raises:
        VoicefitError: parselmouth is not installed, ``root`` holds something else, or the language, a label
            or a voice of ``corpus`` is unknown.
    """
    _check_request(corpus, clips_per_label)
    made_from = {"corpus": asdict(corpus), "clips_per_label": clips_per_label, "seed": seed, "cues": _CUES}
    recipe = json.dumps(made_from, indent=1)
    recorded = root / _RECIPE_NAME
    if recorded.is_file() and recorded.read_text(encoding="utf-8") == recipe:
        return
    total = len(corpus.speakers) * len(corpus.labels) * clips_per_label
    with new_directory(root) as folder:
        utterances = _speak_in_fresh_process(corpus)
        for done, (name, samples) in enumerate(_render_clips(corpus, utterances, clips_per_label, seed), 1):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(_flac(samples))
            if progress is not None:
                progress(done, total)
        (folder / _RECIPE_NAME).write_text(recipe, encoding="utf-8")


def _flac(samples: np.ndarray) -> bytes:
    """Return the bytes of a file, which libsndfile would write to disk and wait for, file by file."""
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _check_request(corpus: SyntheticCorpus, clips_per_label: int) -> None:
    unknown = ({corpus.language} - set(_SENTENCES)) | (set(corpus.labels) - set(_CUES))
    if unknown:
        names = ", ".join([*_SENTENCES, *_CUES])
        raise VoicefitError(f"{corpus.name}: cannot synthesise {', '.join(sorted(unknown))}, only {names}")
    if clips_per_label < 1:
        raise VoicefitError(f"{corpus.name}: clips_per_label is {clips_per_label}, at least 1 is needed")


def import_parselmouth() -> Any:
    """Return the module that speaks.

    Raises:
        VoicefitError: it is not installed.
    """
    try:
        import parselmouth.praat
    except ImportError as error:
        raise VoicefitError(
            'synthetic speech needs praat-parselmouth, which is not installed: pip install "voicefit[demo]"'
        ) from error
    return parselmouth


def _speak_in_fresh_process(corpus: SyntheticCorpus) -> dict[tuple[str, int], _Utterance]:
    """Return every sentence in every voice, keyed by speaker name and sentence number.

    espeak keeps state from one utterance to the next: the same text gives other samples in a second call. A fresh
    process and a fixed order make the samples repeatable.
    """
    import_parselmouth()
    keys = [(s, number) for s in corpus.speakers for number in range(len(_SENTENCES[corpus.language]))]
    requests = json.dumps([(corpus.language, speaker.voice, number) for speaker, number in keys])
    with tempfile.TemporaryDirectory() as scratch:
        spoken = Path(scratch) / "spoken.npz"
        command = [sys.executable, "-m", "voicefit.demo.synthesis", str(spoken)]
        child = subprocess.run(command, input=requests, capture_output=True, text=True, check=False)
        if child.returncode != 0:
            reason = (child.stderr.strip() or f"exit status {child.returncode}").splitlines()[-1]
            raise VoicefitError(f"{corpus.name}: espeak could not speak it: {reason}")
        with np.load(spoken) as arrays:
            return {
                (speaker.name, number): _Utterance(arrays[f"arr_{2 * index}"], arrays[f"arr_{2 * index + 1}"])
                for index, (speaker, number) in enumerate(keys)
            }


def _speak(language: str, voice: str, number: int) -> _Utterance:
    call = import_parselmouth().praat.call
    synthesizer = call("Create SpeechSynthesizer", _ESPEAK_NAMES.get(language, language), voice)
    grid, sound = call(synthesizer, "To Sound", _SENTENCES[language][number], "yes")
    tier = 3  # sentence, clause, word, phoneme
    intervals = range(1, 1 + call(grid, "Get number of intervals", tier))
    words = [interval for interval in intervals if call(grid, "Get label of interval", tier, interval)]
    start = call(grid, "Get start time of interval", tier, words[0])
    ends = np.array([call(grid, "Get end time of interval", tier, word) for word in words])
    samples = soxr.resample(sound.values[0], sound.sampling_frequency, SAMPLE_RATE)
    return _Utterance(samples[int(start * SAMPLE_RATE) : int(ends[-1] * SAMPLE_RATE)], ends - start)


def _render_clips(
    corpus: SyntheticCorpus, utterances: dict[tuple[str, int], _Utterance], clips_per_label: int, seed: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield every clip as its path below the corpus root and its float64 samples."""
    for speaker in corpus.speakers:
        spoken = [utterance for (name, _), utterance in utterances.items() if name == speaker.name]
        models = [_prepare(utterance, speaker.formants) for utterance in spoken]
        for label in corpus.labels:
            habit = _draw_habit(corpus, speaker, label)
            key = _hash(f"{corpus.name}/{speaker.name}/{label}")
            for number in range(clips_per_label):
                rng = np.random.default_rng([seed, key, number])
                samples = _render(models[number % len(models)], speaker, _draw_cues(label, habit, rng), rng)
                yield f"{speaker.name}/{label}/{number:02d}.flac", samples


def _hash(text: str) -> int:
    return zlib.crc32(text.encode())


def _seed_praat(seed: int) -> None:
    """Make Praat's PSOLA repeatable: it scatters the pieces of voiceless sounds at random."""
    import_parselmouth().praat.run(f"random_initializeWithSeedUnsafelyButPredictably ({seed})")


def _prepare(utterance: _Utterance, formants: float) -> _Model:
    parselmouth = import_parselmouth()
    call = parselmouth.praat.call
    _seed_praat(0)
    plain = parselmouth.Sound(utterance.samples, SAMPLE_RATE)
    sound = call(plain, "Change gender", 60, 400, formants, 0, 1, 1)
    pitch = sound.to_pitch(time_step=0.01, pitch_floor=60, pitch_ceiling=400)
    hertz, times = pitch.selected_array["frequency"], pitch.xs()
    voiced = hertz > 0
    semitones = 12 * np.log2(hertz[voiced] / np.median(hertz[voiced]))
    # Half an octave from the median is beyond espeak's own intonation: a pitch tracker's octave error.
    melody = np.interp(times, times[voiced], np.clip(semitones, -6, 6))
    slope, height = np.polyfit(times, melody, 1)
    manipulation = call(sound, "To Manipulation", 0.01, 60, 400)
    melody, decline = melody - height - slope * times, slope * (times[-1] - times[0])
    return _Model(manipulation, times, melody, decline, sound.duration, utterance.word_ends)


def _draw_habit(corpus: SyntheticCorpus, speaker: SyntheticSpeaker, label: str) -> np.ndarray:
    """Draw the habit of a speaker in an emotion: factors and offsets of its cues, shape (2, cues)."""
    speaker_rng = np.random.default_rng(_hash(f"{corpus.name}/{speaker.name}"))
    factors = np.exp(speaker_rng.normal(0, 0.25, len(_SPREAD)))
    rng = np.random.default_rng(_hash(f"{corpus.name}/{speaker.name}/{label}"))
    size = 0.0 if label == "neutral" else 0.7
    return np.stack([factors, size * np.array(_SPREAD) * rng.normal(size=len(_SPREAD))])


def _draw_cues(label: str, habit: np.ndarray, rng: np.random.Generator) -> _Cues:
    strength = rng.uniform(0.5, 1.2)
    noise = np.array(_SPREAD) * rng.normal(size=len(_SPREAD))
    return _Cues(*(strength * habit[0] * np.array(_CUES[label]) + habit[1] + noise))


def _render(model: _Model, speaker: SyntheticSpeaker, cues: _Cues, rng: np.random.Generator) -> np.ndarray:
    stretch = 1 / (speaker.tempo * 2**cues.tempo)
    _seed_praat(int(rng.integers(2**31)))
    samples = _resynthesise(model, _pitch_curve(model, speaker.pitch, cues, rng), stretch)
    samples = _apply_dynamics(_apply_tilt(samples, speaker.tilt + cues.tilt), 2**cues.dynamics - 1)
    samples *= 10 ** ((_NEUTRAL_LEVEL_DB + cues.level) / 20) / np.sqrt(np.mean(samples**2))
    split = int(rng.choice(model.word_ends[:-1]) * stretch * SAMPLE_RATE)
    samples = _join_phrases(samples, split, cues)
    samples += 10 ** (_NOISE_LEVEL_DB / 20) * rng.normal(size=len(samples))
    return samples * min(1.0, 0.95 / np.abs(samples).max())


def _pitch_curve(model: _Model, centre: float, cues: _Cues, rng: np.random.Generator) -> np.ndarray:
    """Return F0 in hertz at ``model.times``."""
    progress = (model.times - model.times[0]) / (model.times[-1] - model.times[0]) - 0.5
    tremble = max(0.05, cues.jitter) * rng.normal(size=len(model.times))
    trend = cues.pitch + (model.decline + cues.contour) * progress
    semitones = trend + 2**cues.span * model.melody + tremble
    return np.clip(centre * 2 ** (semitones / 12), 60, 500)


def _resynthesise(model: _Model, hertz: np.ndarray, stretch: float) -> np.ndarray:
    """Resynthesise by PSOLA with F0 ``hertz`` at ``model.times``, every duration multiplied by ``stretch``."""
    call = import_parselmouth().praat.call
    pitch_tier = _pitch_tier(model, hertz)
    duration_tier = call("Create DurationTier", "duration", 0, model.duration)
    call(duration_tier, "Add point", 0, stretch)
    call([pitch_tier, model.manipulation], "Replace pitch tier")
    call([duration_tier, model.manipulation], "Replace duration tier")
    return call(model.manipulation, "Get resynthesis (overlap-add)").values[0]


def _pitch_tier(model: _Model, hertz: np.ndarray) -> Any:
    """Return F0 at ``model.times`` as Praat reads it from a file: a call for each point takes 20 times as long."""
    points = np.stack([model.times, hertz], axis=1).ravel().tolist()
    lines = ['File type = "ooTextFile"', 'Object class = "PitchTier"', "", "0", model.duration, len(hertz), *points]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "pitch"
        file.write_text("\n".join(map(str, lines)), encoding="utf-8")
        return import_parselmouth().read(str(file))


def _apply_tilt(samples: np.ndarray, tilt: float) -> np.ndarray:
    """Turn the spectrum about 1 kHz by ``tilt`` dB per octave; the gain is constant below 250 Hz."""
    size = scipy.fft.next_fast_len(len(samples), real=True)
    hertz = scipy.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    gain = 10 ** (tilt * np.log2(np.maximum(hertz, 250) / 1000) / 20)
    return scipy.fft.irfft(scipy.fft.rfft(samples, size) * gain, size)[: len(samples)]


def _apply_dynamics(samples: np.ndarray, excess: float) -> np.ndarray:
    """Multiply the excursions of intensity, in dB, by ``1 + excess``, up to 12 dB; silences stay silent."""
    power = scipy.ndimage.uniform_filter1d(samples**2, SAMPLE_RATE // 25)
    power = scipy.ndimage.uniform_filter1d(power, SAMPLE_RATE // 25)
    decibels = 10 * np.log10(power / power.mean() + 1e-4)
    return samples * 10 ** (excess * np.clip(decibels, -12, 6) / 20)


def _join_phrases(samples: np.ndarray, split: int, cues: _Cues) -> np.ndarray:
    """Fade the voice in after silence, and insert the pause at sample ``split`` if it is audible."""
    pause = cues.pause if cues.pause >= 0.04 else 0.0
    onset = max(3.0, _NEUTRAL_ONSET_MS + cues.onset) / 1000
    edge = np.zeros(SAMPLE_RATE // 20)
    if pause == 0:
        return np.concatenate([edge, _fade(samples, onset), edge])
    gap = np.zeros(int(pause * SAMPLE_RATE))
    return np.concatenate([edge, _fade(samples[:split], onset), gap, _fade(samples[split:], onset), edge])


def _fade(samples: np.ndarray, seconds_in: float) -> np.ndarray:
    """Fade in over ``seconds_in`` and out over 20 ms."""
    positions = np.arange(len(samples)) / SAMPLE_RATE
    gain = np.clip(np.minimum(positions / seconds_in, positions[::-1] / 0.02), 0, 1)
    return samples * np.sin(np.pi / 2 * gain) ** 2


if __name__ == "__main__":  # the fresh process
    np.savez(sys.argv[1], *[part for request in json.load(sys.stdin) for part in _speak(*request)])
