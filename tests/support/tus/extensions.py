"""What the extensions demand."""

import base64
import re

from tests.support.tus.asking import (
    ABSENT,
    ANY,
    BODY,
    DATE,
    DESCRIPTION,
    LIMIT,
    LOCATION,
    OF_TEN,
    TEN,
    Row,
    begun,
    create,
    deferred,
    described,
    digest_of,
    expired,
    fresh,
    given_up,
    joined,
    measured,
    patch,
    piece,
    set_aside,
    stored,
    unknown,
)

CREATION = (
    create(
        "a creation answers 201 and the address",
        {"Upload-Length": "10"},
        201,
        {"Location": LOCATION, "Upload-Offset": "0", "Upload-Expires": DATE},
    ),
    create(
        "an empty file is created and done",
        {"Upload-Length": "0"},
        201,
        {"Location": LOCATION, "Upload-Offset": "0", "Repr-Digest": f"sha-256=:{digest_of(b'')}:"},
    ),
    create("a creation says its length", {}, 400, {"Location": ABSENT}, "media.upload_header"),
    create("a length is a number", {"Upload-Length": "x"}, 400, code="media.upload_header"),
    create("and not negative", {"Upload-Length": "-1"}, 400, code="media.upload_header"),
    create(
        "a length over Tus-Max-Size is 413",
        {"Upload-Length": str(LIMIT + 1)},
        413,
        {"Location": ABSENT},
        "media.too_large",
    ),
    create("at Tus-Max-Size it is not", {"Upload-Length": str(LIMIT)}, 201, {"Location": ANY}),
    create(
        "metadata are pairs of a key and base64, whose value may be empty",
        {"Upload-Length": "10", "Upload-Metadata": DESCRIPTION},
        201,
        {"Location": LOCATION},
    ),
    Row(
        "HEAD tells the metadata as they were given",
        "HEAD",
        described,
        200,
        says={"Upload-Metadata": DESCRIPTION},
    ),
    Row("and none where none were", "HEAD", fresh, 200, says={"Upload-Metadata": ABSENT}),
    create(
        "metadata keys are unique",
        {"Upload-Length": "10", "Upload-Metadata": "a Yg==,a Yg=="},
        400,
        code="media.upload_header",
    ),
    create(
        "metadata values are base64",
        {"Upload-Length": "10", "Upload-Metadata": "a !"},
        400,
        code="media.upload_header",
    ),
    create(
        "a creation may bring the first bytes",
        {**BODY, "Upload-Length": "10"},
        201,
        {"Location": LOCATION, "Upload-Offset": "5", "Upload-Expires": DATE},
        body=TEN[:5],
    ),
    create(
        "or all of them, and then tells the digest",
        {**BODY, "Upload-Length": "10"},
        201,
        {"Location": LOCATION, "Upload-Offset": "10", "Repr-Digest": OF_TEN},
        body=TEN,
    ),
    create(
        "but not more than it announces",
        {**BODY, "Upload-Length": "5"},
        413,
        {"Location": ABSENT},
        "media.too_large",
        TEN,
    ),
    create(
        "and only as an upload's bytes",
        {"Content-Type": "image/jpeg", "Upload-Length": "10"},
        415,
        {"Location": ABSENT},
        "media.body_type",
        TEN,
    ),
    create(
        "the first bytes too may have a checksum",
        {**BODY, "Upload-Length": "10", "Upload-Checksum": f"sha256 {digest_of(b'x')}"},
        460,
        {"Location": LOCATION, "Upload-Offset": "0"},
        "media.chunk_damaged",
        TEN,
    ),
    create(
        "a length may come later",
        {"Upload-Defer-Length": "1"},
        201,
        {"Location": LOCATION, "Upload-Offset": "0"},
    ),
    create(
        "any other value than 1 is 400",
        {"Upload-Defer-Length": "2"},
        400,
        {"Location": ABSENT},
        "media.upload_header",
    ),
    create(
        "a length is not both given and deferred",
        {"Upload-Defer-Length": "1", "Upload-Length": "10"},
        400,
        code="media.upload_header",
    ),
    Row(
        "HEAD says that the length is still to come",
        "HEAD",
        deferred,
        200,
        says={"Upload-Offset": "5", "Upload-Defer-Length": "1", "Upload-Length": ABSENT},
    ),
    Row(
        "and tells it once it is known",
        "HEAD",
        measured,
        200,
        says={"Upload-Offset": "5", "Upload-Defer-Length": ABSENT, "Upload-Length": "10"},
    ),
    patch(
        "a length comes with a PATCH",
        deferred,
        5,
        TEN[5:],
        204,
        {"Upload-Offset": "10", "Repr-Digest": OF_TEN},
        headers={"Upload-Length": "10"},
    ),
    patch(
        "a length once known does not change",
        measured,
        5,
        TEN[5:],
        400,
        code="media.upload_header",
        headers={"Upload-Length": "11"},
    ),
    patch(
        "a length that comes later has the same limit",
        deferred,
        5,
        b"x",
        413,
        code="media.too_large",
        headers={"Upload-Length": str(LIMIT + 1)},
    ),
)

CHECKSUM = (
    *(
        patch(
            f"a body with its {algorithm} is taken",
            begun,
            5,
            TEN[5:8],
            204,
            {"Upload-Offset": "8"},
            headers={"Upload-Checksum": f"{algorithm} {digest_of(TEN[5:8], algorithm)}"},
        )
        for algorithm in ("sha256", "sha1")
    ),
    *(
        patch(
            f"a body without its {algorithm} is 460 and given up",
            begun,
            5,
            TEN[5:8],
            460,
            {"Upload-Offset": "5"},
            "media.chunk_damaged",
            headers={"Upload-Checksum": f"{algorithm} {digest_of(b'x', algorithm)}"},
        )
        for algorithm in ("sha256", "sha1")
    ),
    patch(
        "an algorithm that is not offered is 400",
        begun,
        5,
        TEN[5:8],
        400,
        code="media.upload_header",
        headers={"Upload-Checksum": "md5 AAAAAAAAAAAAAAAAAAAAAA=="},
    ),
    patch(
        "a checksum is base64",
        begun,
        5,
        TEN[5:8],
        400,
        code="media.upload_header",
        headers={"Upload-Checksum": "sha1 !"},
    ),
    patch(
        "a whole file that is not what was announced is 460",
        lambda served: served.begin(
            Upload_Length="10",
            Upload_Metadata="sha256 " + base64.b64encode(b"ab" * 32).decode(),
        ),
        0,
        TEN,
        460,
        code="media.digest_mismatch",
    ),
)

EXPIRATION = (
    patch(
        "a PATCH tells when an unfinished upload expires",
        begun,
        5,
        b"5",
        204,
        {"Upload-Expires": DATE},
    ),
    Row("so does HEAD", "HEAD", begun, 200, says={"Upload-Expires": DATE}),
    Row("what is complete does not", "HEAD", stored, 200, says={"Upload-Expires": ABSENT}),
    patch("an expired upload is 410", expired, 5, TEN[5:], 410, code="media.upload_gone"),
    Row("also for HEAD", "HEAD", expired, 410, says={"Upload-Offset": ABSENT}),
    Row("also for DELETE", "DELETE", expired, 410, code="media.upload_gone"),
)

TERMINATION = (
    Row("DELETE answers 204", "DELETE", begun, 204, says={"Tus-Resumable": "1.0.0"}),
    Row("DELETE of what is not found is 404", "DELETE", unknown, 404, code="server.not_found"),
    Row("what was given up is 410", "HEAD", given_up, 410, says={"Upload-Offset": ABSENT}),
    patch("for PATCH too", given_up, 5, TEN[5:], 410, code="media.upload_gone"),
    Row("and for DELETE", "DELETE", given_up, 410, code="media.upload_gone"),
    patch("what was set aside takes nothing", set_aside, 10, b"", 410, code="media.upload_gone"),
)


def final(*kinds):
    """Makes the ``Upload-Concat`` of a file of pieces of these kinds."""
    return lambda served: "final;" + " ".join(kind(served) for kind in kinds)


CONCATENATION = (
    create(
        "a piece is created as such",
        {"Upload-Length": "5", "Upload-Concat": "partial"},
        201,
        {"Location": LOCATION},
    ),
    Row("HEAD of a piece says so", "HEAD", piece, 200, says={"Upload-Concat": "partial"}),
    create(
        "a file is made of pieces without a length",
        {"Upload-Concat": final(piece, piece)},
        201,
        {"Location": LOCATION, "Repr-Digest": f"sha-256=:{digest_of(TEN[:5] * 2)}:"},
    ),
    Row(
        "HEAD of a joined file has offset and length, equal, and its pieces",
        "HEAD",
        joined,
        200,
        says={
            "Upload-Offset": "10",
            "Upload-Length": "10",
            "Upload-Concat": re.compile(r"final;/api/v1/uploads/\S{36} /api/v1/uploads/\S{36}"),
        },
    ),
    patch("a PATCH of a joined file is 403", joined, 10, b"", 403, code="media.upload_final"),
    create(
        "unfinished pieces may be refused",
        {
            "Upload-Concat": final(
                piece, lambda served: served.begin(Upload_Length="5", Upload_Concat="partial")
            )
        },
        409,
        {"Location": ABSENT},
        "media.pieces_unfinished",
    ),
    create(
        "a whole file is no piece",
        {"Upload-Concat": final(piece, stored)},
        409,
        code="media.pieces_unfinished",
    ),
    create(
        "nor is what is not found",
        {"Upload-Concat": final(piece, unknown)},
        404,
        code="server.not_found",
    ),
    create("a file has pieces", {"Upload-Concat": "final;"}, 400, code="media.upload_header"),
    create(
        "there is no other kind",
        {"Upload-Concat": "whole", "Upload-Length": "5"},
        400,
        code="media.upload_header",
    ),
)
