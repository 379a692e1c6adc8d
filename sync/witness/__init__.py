"""A witness of ledgers: ``liuhen-witness``, its own key and memory, apart from any bureau.

Speaks C2SP ``tlog-witness``. It imports the evidence formats and cryptography,
nothing of the server, so that it can be installed where the bureau has no say.
"""
