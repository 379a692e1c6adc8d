"""The one table of who may open which route of the console (docs/console.md §3).

The edge enforces it before a view runs, and the operations again where rows are
written. A route that is not in the table cannot be opened by anybody.
"""

from dataclasses import dataclass

OFFICER, REVIEWER, LEADER = "officer", "reviewer", "leader"
ADMINISTRATOR, SUPERVISOR = "administrator", "supervisor"

EVERYONE = frozenset({OFFICER, REVIEWER, LEADER, ADMINISTRATOR, SUPERVISOR})


@dataclass(frozen=True)
class Rule:
    """``roles`` may open the route; None needs no login. ``evidence`` leaves a ``view`` leaf."""

    roles: frozenset[str] | None
    evidence: bool = False


_PUBLIC = Rule(None)
_ANY_LOGIN = Rule(EVERYONE)
_READS_EVIDENCE = Rule(EVERYONE, evidence=True)
_OVERSEERS = frozenset({LEADER, ADMINISTRATOR, SUPERVISOR})

#: By method and endpoint, because reading and writing one address are different rights.
RULES: dict[tuple[str, str], Rule] = {
    ("GET", "console.static"): _PUBLIC,
    ("GET", "console.login"): _PUBLIC,
    ("POST", "console.log_in"): _PUBLIC,
    ("POST", "console.log_out"): _ANY_LOGIN,
    ("GET", "console.password"): _ANY_LOGIN,
    ("POST", "console.change_password"): _ANY_LOGIN,
    ("GET", "console.desk"): _READS_EVIDENCE,
    ("GET", "console.inspection"): _READS_EVIDENCE,
    ("GET", "console.signed_sheet"): _READS_EVIDENCE,
    ("GET", "console.signed_sheet_pdf"): _READS_EVIDENCE,
    ("GET", "console.item"): _READS_EVIDENCE,
    ("GET", "console.thumbnail"): _READS_EVIDENCE,
    ("GET", "console.derived"): _READS_EVIDENCE,
    ("GET", "console.original"): _READS_EVIDENCE,
    ("GET", "console.download"): _READS_EVIDENCE,
    ("GET", "console.display_copy"): _READS_EVIDENCE,
    ("GET", "console.redact"): Rule(frozenset({REVIEWER, ADMINISTRATOR}), evidence=True),
    ("POST", "console.make_redacted"): Rule(frozenset({REVIEWER, ADMINISTRATOR})),
    ("GET", "console.redaction"): _READS_EVIDENCE,
    ("POST", "console.judge"): Rule(frozenset({REVIEWER})),
    ("POST", "console.request_package"): Rule(frozenset({ADMINISTRATOR})),
    ("GET", "console.package"): Rule(frozenset({LEADER, ADMINISTRATOR}), evidence=True),
    ("GET", "console.package_ways"): Rule(frozenset({LEADER, ADMINISTRATOR})),
    ("GET", "console.package_volume"): Rule(frozenset({LEADER, ADMINISTRATOR}), evidence=True),
    ("GET", "console.package_encrypted"): Rule(frozenset({LEADER, ADMINISTRATOR}), evidence=True),
    ("GET", "console.package_signature"): Rule(frozenset({LEADER, ADMINISTRATOR})),
    ("GET", "console.package_stamp"): Rule(frozenset({LEADER, ADMINISTRATOR})),
    ("GET", "console.form_list"): _ANY_LOGIN,
    ("GET", "console.form"): _ANY_LOGIN,
    ("POST", "console.publish_form"): Rule(frozenset({ADMINISTRATOR})),
    ("GET", "console.quarantine"): _READS_EVIDENCE,
    ("GET", "console.quarantined"): _READS_EVIDENCE,
    ("POST", "console.decide_quarantined"): Rule(frozenset({REVIEWER})),
    ("GET", "console.store"): Rule(_OVERSEERS, evidence=True),
    ("POST", "console.enter_receipt"): Rule(frozenset({ADMINISTRATOR})),
    ("GET", "console.receipt"): Rule(frozenset({LEADER, ADMINISTRATOR}), evidence=True),
    ("GET", "console.foreign"): _READS_EVIDENCE,
    ("GET", "console.foreign_package"): _READS_EVIDENCE,
    ("GET", "console.foreign_download"): Rule(
        frozenset({REVIEWER, LEADER, ADMINISTRATOR}), evidence=True
    ),
    ("GET", "console.erasure"): Rule(_OVERSEERS, evidence=True),
    ("GET", "console.erasure_unit"): Rule(_OVERSEERS, evidence=True),
    ("POST", "console.request_erasure"): Rule(frozenset({ADMINISTRATOR})),
    ("POST", "console.withdraw_erasure"): Rule(frozenset({ADMINISTRATOR})),
    ("POST", "console.decide_erasure"): Rule(frozenset({LEADER})),
    ("POST", "console.set_hold"): Rule(frozenset({ADMINISTRATOR, LEADER})),
    ("POST", "console.ask_to_lift"): Rule(frozenset({ADMINISTRATOR})),
    ("POST", "console.lift_hold"): Rule(frozenset({LEADER})),
    ("GET", "console.devices"): Rule(_OVERSEERS),
    ("GET", "console.device"): Rule(_OVERSEERS),
    ("GET", "console.device_statement"): Rule(_OVERSEERS, evidence=True),
    ("POST", "console.set_holders"): Rule(frozenset({ADMINISTRATOR})),
    ("POST", "console.issue_code"): Rule(frozenset({ADMINISTRATOR})),
    ("POST", "console.revoke_device"): Rule(frozenset({ADMINISTRATOR})),
}


def may(roles: frozenset[str], method: str, endpoint: str) -> bool:
    """Whether a holder of ``roles`` may open that route."""
    rule = RULES.get((method, endpoint))
    return rule is not None and (rule.roles is None or not rule.roles.isdisjoint(roles))
