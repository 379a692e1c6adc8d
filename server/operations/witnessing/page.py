"""The submission as a sheet of paper, for a witness to whom not even a file may be carried."""

import io
from datetime import UTC, datetime, timedelta, timezone

import segno
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sync import catalogue
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.note import parse_note
from sync.witness.submission import Submission, format_submission

_CHINA = timezone(timedelta(hours=8))


def submission_page(submission: Submission, *, now_ms: int) -> str:
    """The sheet as HTML of one page: a QR code that holds the whole file, and the file as text."""
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    head = parse_checkpoint(parse_note(submission.note).text)
    data = format_submission(submission)
    return environment.get_template("submission.html.j2").render(
        origin=head.origin,
        size=head.size,
        root=head.root.hex(),
        old=submission.old_size,
        made=datetime.fromtimestamp(now_ms / 1000, UTC)
        .astimezone(_CHINA)
        .strftime("%Y-%m-%d %H:%M:%S %z"),
        picture=_picture(data),
        text=data.decode(),
        zh=lambda name: catalogue.text(f"witness.page.{name}", "zh"),
        en=lambda name: catalogue.text(f"witness.page.{name}", "en"),
    )


def _picture(data: bytes) -> Markup:
    """The QR code; empty where a proof is too long for one, which a trillion leaves make it."""
    try:
        code = segno.make(data, error="l", mode="byte", micro=False)
    except segno.DataOverflowError:
        return Markup()
    out = io.BytesIO()
    code.save(out, kind="svg", xmldecl=False, svgns=True, omitsize=True)
    # Made of black squares by us; nothing of it is anyone's text.
    return Markup(out.getvalue().decode())  # noqa: S704
