"""moto's server, without a copy of all that it holds whenever versions are listed.

Every deletion of a tail asks for versions. moto answers with deep copies of all objects of
the bucket, bytes included, which it lets go of late: a run of the tests filled 40 GB of disk
with them. Nothing here changes an object once it is written, so the list itself will do.
"""

import copy
from types import SimpleNamespace

from moto.s3 import models
from moto.server import main

if __name__ == "__main__":
    models.copy = SimpleNamespace(copy=copy.copy, deepcopy=list)
    main()
