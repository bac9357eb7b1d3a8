from voicefit.report.writer import inline_svg


def test_inline_svg_keeps_figures_apart():
    svg = (
        '<?xml version="1.0"?>\n<svg width="72pt" height="9pt" viewBox="0 0 72 9"><!-- <b> -->'
        '<defs><path id="p"/></defs><g id="lone"><use xlink:href="#p" clip-path="url(#q)"/></g></svg>'
    )

    assert inline_svg(svg, "one") == (
        '<svg viewBox="0 0 72 9" style="min-width: 65px; max-width: 108px"><defs><path id="one-p"/></defs>'
        '<g><use xlink:href="#one-p" clip-path="url(#one-q)"/></g></svg>'
    )
