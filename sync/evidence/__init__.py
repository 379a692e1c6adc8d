"""The evidence formats and their verification, pure: no clock, database or network.

Kept to the standard library and to Python 3.8 syntax, because this package is
also joined into the single file with which a court checks a package offline.
"""
