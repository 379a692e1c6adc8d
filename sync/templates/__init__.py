"""Forms as data (docs/forms.md); pure, shared by server and device client."""

from sync.templates.checking import MAX_VERSION, Problem, problems
from sync.templates.gaps import Gap, is_well_formed, lacking
from sync.templates.model import (
    Field,
    Template,
    in_force,
    is_blank,
    is_informant,
    parse_template,
)
from sync.templates.schema import json_schema
from sync.templates.words import value_text

__all__ = [
    "MAX_VERSION",
    "Field",
    "Gap",
    "Problem",
    "Template",
    "in_force",
    "is_blank",
    "is_informant",
    "is_well_formed",
    "json_schema",
    "lacking",
    "parse_template",
    "problems",
    "value_text",
]
