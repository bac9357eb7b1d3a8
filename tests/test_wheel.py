"""The wheel, installed alone in a new environment: the README's first commands run, and nothing heavy came along."""

import os
import shlex
import shutil
import subprocess
import sys
import venv
from email import message_from_string
from pathlib import Path
from zipfile import ZipFile

import pytest

from support.layouts import write_noise
from support.readme import blocks_to_test, commands_of

pytestmark = pytest.mark.slow(20)

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "transformers", "scikit-learn", "scipy", "pandas", "pyarrow", "matplotlib", "huggingface_hub")
UNREACHABLE = (
    "No matching distribution found",
    "ConnectionError",
    "NewConnectionError",
    "Read timed out",
    "ProxyError",
)


def pip(python: str | Path, *words: object) -> None:
    """Run pip; the test is skipped where it finds no way to PyPI."""
    command = [python, "-m", "pip", "--disable-pip-version-check", *words, "--retries", "1", "--timeout", "20"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode and any(words in done.stderr for words in UNREACHABLE):
        pytest.skip(f"PyPI cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since building leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", folder / "source" / "src", ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source" / name)
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, folder / "source")
    (built,) = folder.glob("voicefit-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel, and what its metadata ask for."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=True)
    pip(folder / "bin" / "python", "install", "--prefer-binary", wheel)
    return folder / "bin"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the clips of the README."""
    folder = tmp_path_factory.mktemp("home")
    clips = ("my-clips/calm/1", "my-clips/calm/2", "my-clips/upset/1", "my-clips/upset/2", "new-clip")
    more = ("my-other-clips/calm/1", "my-other-clips/upset/1", "more-recordings/1", "more-recordings/2")
    for seed, name in enumerate((*clips, *more)):
        write_noise(folder / f"{name}.wav", seed, seconds=0.5)
    write_noise(folder / "talk.wav", 30, seconds=4.0)
    return folder


def run(installed: Path, home: Path, line: str) -> subprocess.CompletedProcess[str]:
    """One command line of a person who has nothing but the environment."""
    name, *words = shlex.split(line)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment = {**kept, "HOME": str(home), "VOICEFIT_CACHE": str(home / "cache")}
    return subprocess.run([installed / name, *words], cwd=home, env=environment, capture_output=True, text=True)


def test_the_wheel_asks_for_nothing_heavy_and_holds_the_model(wheel):
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        (path,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = message_from_string(archive.read(path).decode())
    asked = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert asked and not [line for line in asked if line.lower().replace("-", "_").startswith(
        tuple(name.replace("-", "_") for name in HEAVY)
    )]  # fmt: skip
    assert {"voicefit/mini/encoder.onnx", "voicefit/mini/model.safetensors", "voicefit/py.typed"} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "experiments"))]


def test_its_environment_has_no_package_of_an_extra(installed):
    command = [installed / "python", "-m", "pip", "list", "--format", "freeze"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower().replace("-", "_")
    packages = {line.partition("==")[0] for line in listed.splitlines()}
    assert {"voicefit", "numpy", "onnxruntime"} <= packages
    assert packages.isdisjoint(name.replace("-", "_") for name in HEAVY)


def test_the_commands_of_the_page_about_a_voice_run(installed, home):
    for line in (line for _, text in blocks_to_test("bash", "docs/start/voice.md") for line in commands_of(text)):
        done = run(installed, home, line)
        if "--figure" in line:  # which matplotlib draws
            assert done.returncode == 2 and "pip install 'voicefit[report]'" in done.stderr
            line = line.partition("--figure")[0]
            done = run(installed, home, line)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        if "predict my-model new-clip.wav" in line:
            assert "calm" in done.stdout and "upset" in done.stdout
        if "evaluate" in line:
            assert "2 clips: macro F1" in done.stdout
    made = ("my-model/model.safetensors", "my-model/encoder.onnx", "my-model.onnx", "my-better-model/config.json")
    assert [name for name in made if not (home / name).is_file()] == []


def test_the_example_in_the_wheel_is_adapted_to_and_predicted(installed, home):
    first = run(installed, home, "voicefit example tried")
    assert first.returncode == 0, first.stderr
    for line in first.stdout.splitlines()[1:]:
        done = run(installed, home, line.strip())
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert "16 clips: macro F1" in done.stdout


def test_what_needs_an_extra_says_so(installed, home):
    done = run(installed, home, "voicefit adapt my-clips --method full --out refused")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("run: pip install 'voicefit[train]'")
    assert not (home / "refused").exists()
