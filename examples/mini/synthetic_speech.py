"""Synthetic speech in many languages, voices, pitches and rates: unlabelled audio that anybody may use.

Needs espeak-ng and flite (Debian packages of these names) and `pip install babel`, whose tables of names (Unicode
CLDR) are what is spoken: countries, languages, months, days and numbers, in the language of the voice.

    python examples/mini/synthetic_speech.py --out synthetic --clips 3000
"""

import argparse
import random
import subprocess
import tempfile
from pathlib import Path

import babel
import soundfile
import soxr

RATE = 16_000
FLITE_VOICES = ("awb", "kal16", "rms", "slt")  # those of 16 kHz that speak any text


def espeak_languages() -> list[str]:
    """The codes of espeak-ng's languages that CLDR has names in."""
    listing = subprocess.run(["espeak-ng", "--voices"], capture_output=True, text=True, check=True).stdout
    codes = [line.split()[1] for line in listing.splitlines()[1:]]
    return sorted(code for code in set(codes) if "-" not in code and _locale(code) is not None)


def _locale(code: str) -> babel.Locale | None:
    try:
        return babel.Locale.parse(code)
    except (babel.UnknownLocaleError, ValueError):
        return None


def espeak_variants() -> list[str]:
    """The names of espeak-ng's voice variants."""
    listing = subprocess.run(["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True).stdout
    return sorted(line.split("!v/")[1].split()[0] for line in listing.splitlines() if "!v/" in line)


def text_in(locale: babel.Locale, draw: random.Random) -> str:
    """A few names and a number, with the punctuation that moves the melody."""
    names = [*locale.territories.values(), *locale.languages.values(), *locale.months["format"]["wide"].values()]
    names += [*locale.days["format"]["wide"].values(), str(draw.randint(2, 9999))]
    return ", ".join(draw.sample(names, draw.randint(1, 4))) + draw.choice([".", "?", "!", "!"])


def espeak(draw: random.Random, languages: list[str], variants: list[str], out: Path) -> None:
    """One clip of any language, variant, rate, pitch and liveliness."""
    language = draw.choice(languages)
    voice = f"{language}+{draw.choice(variants)}"
    settings = {"-s": draw.randint(100, 260), "-p": draw.randint(5, 95), "-P": draw.randint(0, 99)}
    text = text_in(babel.Locale.parse(language), draw)
    options = [str(part) for name, value in settings.items() if name != "-P" for part in (name, value)]
    marked = f'<prosody range="{2 * settings["-P"]}%">{text}</prosody>'
    subprocess.run(["espeak-ng", "-m", "-v", voice, *options, "-w", str(out), marked], check=True)


def flite(draw: random.Random, out: Path) -> None:
    """One English clip, of any voice, rate and pitch."""
    voice = draw.choice(FLITE_VOICES)
    pitch = draw.uniform(0.75, 1.4) * (170 if voice == "slt" else 105)
    options = [f"duration_stretch={draw.uniform(0.7, 1.5):.2f}", f"int_f0_target_mean={pitch:.0f}"]
    options += [f"int_f0_target_stddev={draw.uniform(5, 45):.0f}"]
    settings = [part for option in options for part in ("--setf", option)]
    text = text_in(babel.Locale.parse("en"), draw)
    subprocess.run(["flite", "-voice", voice, *settings, "-t", text, "-o", str(out)], check=True)


def main() -> None:
    """Speak the clips; the same seed says the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to fill with FLAC files")
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    languages, variants = espeak_languages(), espeak_variants()
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        for index in range(arguments.clips):
            draw = random.Random(f"{arguments.seed}/{index}")
            program = "flite" if draw.random() < 0.25 else "espeak"
            try:
                if program == "flite":
                    flite(draw, spoken)
                else:
                    espeak(draw, languages, variants, spoken)
            except subprocess.CalledProcessError as error:  # a few voices crash on a few words
                print(f"left out {index}: {error}")
                continue
            samples, rate = soundfile.read(spoken, dtype="float32")
            out = arguments.out / program / f"{index:05d}.flac"
            out.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(out, soxr.resample(samples, rate, RATE), RATE)


if __name__ == "__main__":
    main()
