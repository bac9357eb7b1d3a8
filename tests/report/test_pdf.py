import multiprocessing

import pytest

from voicefit.errors import VoicefitError
from voicefit.report.pdf import saving_pdfs
from voicefit.report.style import drawing, panels


@pytest.mark.slow(3)
def test_another_process_writes_the_same_bytes(tmp_path):
    with drawing():
        for processes in (0, 1):
            figure, axes = panels(4, 3, 1, 2)
            axes[0, 0].plot([1, 2], [3, 4], label="ßå €")
            axes[0, 0].legend()
            with saving_pdfs(processes) as save_pdf:
                save_pdf(figure, tmp_path / f"{processes}.pdf")
    assert (tmp_path / "0.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "1.pdf").read_bytes() == (tmp_path / "0.pdf").read_bytes()


@pytest.mark.slow(3)
def test_what_another_process_cannot_write_is_an_error_here(tmp_path):
    figure, _ = panels(4, 3, 1, 1)
    with pytest.raises(FileNotFoundError), saving_pdfs(1) as save_pdf:
        save_pdf(figure, tmp_path / "not there" / "1.pdf")


@pytest.mark.slow(3)
def test_a_process_that_is_killed_is_an_error_of_one_line(tmp_path):
    figure, _ = panels(4, 3, 1, 1)
    others = multiprocessing.active_children()
    with pytest.raises(VoicefitError, match="PDFs was lost"), saving_pdfs(1) as save_pdf:
        save_pdf(figure, tmp_path / "1.pdf")
        for child in multiprocessing.active_children():
            if child not in others:
                child.kill()
