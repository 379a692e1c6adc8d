"""Sets one page with Typst: ``python -m server.typeset FOLDER FONTS SECONDS``.

A process of its own, which ends with its page: Typst keeps what it has set, and a long case
would fill the worker's memory. ``FOLDER`` has ``paper.typ`` and ``page.json``; the PDF comes
out as ``page.pdf``. PDF/A-2u demands a glyph for every character and its text to be readable.
"""

import sys
from pathlib import Path

import typst


def typeset(folder: Path, fonts: str, at_s: int) -> None:
    """Set ``folder``'s page by the fonts in ``fonts`` alone, dated ``at_s`` (seconds of Unix time).

    Raises:
        typst.TypstError: for a page that cannot be set, such as a character without a glyph.
    """
    compiler = typst.Compiler(
        input=str(folder / "paper.typ"),
        root=str(folder),
        font_paths=[fonts],
        ignore_system_fonts=True,
    )
    # Tags would make the files five times as long; the HTML is there for screen readers.
    compiler.compile(
        output=str(folder / "page.pdf"),
        format="pdf",
        pdf_standards="a-2u",
        timestamp=at_s,
        pdf_tags=False,
    )


if __name__ == "__main__":
    typeset(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
