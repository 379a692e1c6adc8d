"""Finding what an act names, within the device's own organisation, and each inspection once."""

from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.inspections import Inspection, RegulatedEntity, Task, TemplateVersion
from server.models.people import Officer
from server.operations.erased import ERASED
from server.operations.projection.act import Act, NotShown, is_uuid

_Owned = TypeVar("_Owned", Task, RegulatedEntity, Officer)
_Named = TypeVar("_Named", Task, RegulatedEntity)


class Lookup:
    """What the acts of one push name; another bureau's rows are as unknown as none at all."""

    def __init__(self, session: Session, organization_id: str) -> None:
        self._session = session
        self.organization_id = organization_id
        self._inspections: dict[str, Inspection] = {}
        self._templates: set[tuple[object, object]] | None = None

    def inspection(self, act: Act) -> Inspection:
        """The inspection that ``act`` belongs to.

        Raises:
            NotShown: if it was not opened (yet), or was lawfully erased.
        """
        inspection_id = act.uuid("inspection")
        inspection = self._inspections.get(inspection_id)
        if inspection is None:
            inspection = self._session.get(Inspection, inspection_id)
            if inspection is None or inspection.organization_id != self.organization_id:
                raise NotShown("projection.unknown_inspection")
            need_text(inspection)
            self._inspections[inspection_id] = inspection
        return inspection

    def officers(self, ids: list[Any]) -> list[Officer]:
        officers = []
        for officer_id in ids:
            officer = self.own(Officer, officer_id, "projection.unknown_officer")
            if officer is None:
                raise NotShown("projection.unknown_officer")
            officers.append(officer)
        return officers

    def named(self, kind: type[_Named], act: Act, name: str) -> _Named | None:
        """The task or entity that ``act`` names; a released one may name what is not known.

        Raises:
            NotShown: if it is not known.
        """
        try:
            return self.own(kind, act.body.get(name), f"projection.unknown_{name}")
        except NotShown:
            if act.released:
                return None
            raise

    def own(self, kind: type[_Owned], identifier: object, code: str) -> _Owned | None:
        """The row of that id if one is named; it must belong to the device's organisation."""
        if identifier is None:
            return None
        row = self._session.get(kind, identifier) if is_uuid(identifier) else None
        if row is None or row.organization_id != self.organization_id:
            raise NotShown(code)
        return row

    def need_template(self, template_id: str, version: int) -> None:
        """Insist that this version of a form was published.

        Raises:
            NotShown: if it was not (yet).
        """
        if not self.has_template(template_id, version):
            raise NotShown("projection.unknown_template")

    def has_template(self, template_id: object, version: object) -> bool:
        """Whether this version of a form was published."""
        if self._templates is None:
            self._templates = {
                (row.id, row.version)
                for row in self._session.execute(
                    select(TemplateVersion.id, TemplateVersion.version).where(
                        TemplateVersion.organization_id == self.organization_id
                    )
                )
            }
        return (template_id, version) in self._templates


def need_text(inspection: Inspection) -> None:
    """Let nothing be added to the screens of an inspection whose text was erased by law.

    Raises:
        NotShown: the line itself is kept, as every line is.
    """
    if inspection.state == ERASED:
        raise NotShown("projection.lawfully_erased", inspection.id)
