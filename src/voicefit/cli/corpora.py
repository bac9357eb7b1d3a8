"""Commands about corpora: which are known, what one on disk holds, which suit a voice."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from voicefit.cli.left_out import tell_left_out
from voicefit.cli.options import JsonFlag, corpus_arguments
from voicefit.cli.terminal import notify, out, print_json, progress_bars
from voicefit.system.extras import require

corpora_app = typer.Typer(help="List, check and download corpora.", no_args_is_help=True)


@corpora_app.command("list")
def corpora_list(as_json: JsonFlag = False) -> None:
    """List the corpora whose native layout Voicefit reads, with licence and permitted use.

    Example: `voicefit corpora list`
    """
    from voicefit.corpora import corpus_infos

    infos = corpus_infos()
    if as_json:
        print_json([vars(info) for info in infos])
        return
    table = Table(box=None, header_style="bold")
    for column in ("name", "language", "speakers", "clips", "use", "licence"):
        counted = column in ("speakers", "clips")
        table.add_column(column, justify="right" if counted else "left", no_wrap=column in ("name", "use"))
    for info in infos:
        counts = ["" if n is None else f"{n:,}" for n in (info.expected_speakers, info.expected_clips)]
        table.add_row(info.name, info.language, *counts, info.usage, info.licence)
    out.print(table)
    others = [f"{info.name} ({info.labelled_by})" for info in infos if info.labelled_by not in ("emotion", "any")]
    out.print(f"labels are emotions, except of {', '.join(others)}")
    out.print("titles, home pages and citations: voicefit corpora list --json")


@corpora_app.command("check")
def corpora_check(
    corpus: Annotated[str, typer.Argument(help="NAME=PATH, as `ravdess=~/data/RAVDESS` or `mine=clips/`.")],
    as_json: JsonFlag = False,
) -> None:
    """Read every clip of a corpus, and print what is there and what is wrong.

    Example: `voicefit corpora check ravdess=~/data/RAVDESS`
    """
    from voicefit.corpora import load_corpus, parse_corpus_argument
    from voicefit.corpora.check import check_corpus, render

    loaded = load_corpus(*parse_corpus_argument(corpus))
    with progress_bars() as progress:
        report = check_corpus(loaded, lambda done, total: progress(f"reading {loaded.name}", done, total))
    if as_json:
        print_json(report.to_json())
    else:
        out.print(render(report))


@corpora_app.command("download")
def corpora_download(
    name: Annotated[str, typer.Argument(help="A name of `voicefit corpora list`.")],
    out_dir: Annotated[Path | None, typer.Option("--out", help="The folder to make; NAME without it.")] = None,
) -> None:
    """Download a corpus from its authors, if its licence lets anybody. The same command resumes.

    Example: `voicefit corpora download emozionalmente --out ~/data/emozionalmente`
    """
    from voicefit.corpora import CORPORA
    from voicefit.corpora.download import SOURCES, download
    from voicefit.errors import VoicefitError

    if name not in SOURCES:
        page = f"; the page of {name} is {CORPORA[name].info.homepage}" if name in CORPORA else ""
        raise VoicefitError(f"{name!r} is not downloaded: {', '.join(SOURCES)} are{page}")
    info = CORPORA[name].info
    notify(f"{info.title}: {info.licence}; permitted use: {info.usage}; {info.homepage}")
    with progress_bars() as progress:
        path = download(name, (out_dir or Path(name)).expanduser(), SOURCES[name], progress)
    out.print(f"{path}; next: voicefit corpora check {name}={path}", soft_wrap=True, markup=False, highlight=False)


def select(
    target: Annotated[Path, typer.Option(help="Folder with a folder of audio files per label: the voice.")],
    corpus: Annotated[list[str], typer.Option(help="NAME=PATH; give it once per corpus.")],
    encoder: Annotated[str, typer.Option(help="Hub id or directory of a pretrained encoder.")],
    depth: Annotated[int | None, typer.Option(min=1, help="Transformer layers to keep; all if left out.")] = None,
    subsets: Annotated[bool, typer.Option("--subsets", help="Rank every subset, not only single corpora.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Rank corpora for a voice before any training, from a few labelled clips of it.

    Example: `voicefit select --target my-clips --encoder facebook/wav2vec2-base --corpus ravdess=~/RAVDESS
    --corpus tess=~/TESS`
    """
    require("train", "corpora are ranked by an encoder in PyTorch")
    from voicefit.selection.ranking import CAVEAT, ORDER, SCORES, select_corpora

    with progress_bars() as progress:
        found = select_corpora(
            target, dict(corpus_arguments(corpus)), encoder, depth=depth, subsets=subsets, progress=progress
        )
    if as_json:
        print_json({"ordered_by": ORDER, "caveat": CAVEAT, **asdict(found)})
        return
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    table.add_column("corpora", overflow="fold", min_width=16, vertical="bottom")
    for column in ("clips", *(score.title for score in SCORES.values())):
        table.add_column(column, justify="right", no_wrap=True)
    for item in found.candidates:
        cells = (f"{item.scores[name]:.2f}" for name in SCORES)
        table.add_row(" + ".join(item.corpora), f"{item.clips:,}", *cells)
    out.print(table)
    out.print(f"more corpora first, then by {SCORES[ORDER].title}; more is better in each score")
    for score in SCORES.values():
        out.print(f"  {score.title}: {score.meaning}", soft_wrap=True)
    out.print(CAVEAT, soft_wrap=True)
    tell_left_out(found.left_out, "--json")
