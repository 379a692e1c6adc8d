"""Why a time stamp was not had or not believed; each code is shown on the console."""

from server.failures import ServerError


class StampError(ServerError):
    """Base of what goes wrong with one time stamp."""

    code = "stamp.error"


class AuthorityUnreachable(StampError):
    """The authority cannot be reached, or answers with an HTTP error."""

    code = "stamp.unreachable"


class AnswerUnusable(StampError):
    """What the authority sent is no time stamp."""

    code = "stamp.answer"


class AnswerElsewhere(StampError):
    """The stamp is over other bytes than were sent, or answers another request."""

    code = "stamp.elsewhere"


class StampUntrusted(StampError):
    """No tool that could read the stamp believes it."""

    code = "stamp.untrusted"


class ToolsDisagree(StampError):
    """One tool believes the stamp and another does not."""

    code = "stamp.tools_disagree"


class StampUnchecked(StampError):
    """There is no tool here that can check the stamp."""

    code = "stamp.unchecked"


class RequestUnknown(StampError):
    """An answer that came as a file answers no request that is waiting."""

    code = "stamp.request_unknown"
