"""The declarative base of every table, with the column types that the tables share."""

from typing import Annotated, cast

from sqlalchemy import BigInteger, MetaData, String, Table, Text
from sqlalchemy.orm import DeclarativeBase, mapped_column

#: Milliseconds UTC since 1970.
Millis = Annotated[int, mapped_column(BigInteger)]
#: SHA-256 in lowercase hex: of bytes, a line, or a public key.
Digest = Annotated[str, mapped_column(String(64))]
#: A client-made UUID in its canonical lowercase form.
Uuid = Annotated[str, mapped_column(String(36))]
Name = Annotated[str, mapped_column(String(200))]
Body = Annotated[str, mapped_column(Text)]
Big = Annotated[int, mapped_column(BigInteger)]


class Base(DeclarativeBase):
    """Base of all rows; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


#: A ledger of one generation is far shorter than this; a position stays below 2^53.
_GENERATION_SPAN = 2**40


def position_of(generation: int, index: int) -> int:
    """A place in the ledger as one number that grows over generations too."""
    return generation * _GENERATION_SPAN + index


def place_of(position: int) -> tuple[int, int]:
    """Generation and ledger index of a position."""
    return divmod(position, _GENERATION_SPAN)


def table_of(model: type[Base]) -> Table:
    """The table behind ``model``, for inserting many rows without the ORM's bookkeeping.

    Rows are then named by column, which can differ from the attribute.
    """
    return cast(Table, model.__table__)
